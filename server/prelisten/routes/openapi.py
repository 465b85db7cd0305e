"""`GET /prelisten/v1/openapi.json`: the API, described for programs. A test asks the server all that stands here.

The built files of the widget are no part of it: their names change with every build.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from flask import Response, jsonify, request, url_for

from prelisten.access import Scope
from prelisten.hints.claim import Claim
from prelisten.hints.seal import FIXED_OUTCOMES
from prelisten.records import Action, Context, FindingState, Recomputed, TokenState

Json = dict[str, Any]
REFERENCE = "#/components/schemas/"
TEXT: Json = {"type": "string"}
DIGEST: Json = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
TIME: Json = {"type": "string", "format": "date-time"}
EPOCH: Json = {"type": "integer", "description": "Seconds since 1970, UTC."}
ACTION: Json = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,32}$"}
SESSION: Json = {"type": ["string", "null"], "maxLength": 500}
KEY: list[Json] = [{"apiKey": []}]
NO_KEY: list[Json] = [{}]


def openapi() -> Response:
    """Serve the description, with the address below which it is asked."""
    prefix = url_for(".openapi").removesuffix("/openapi.json")
    response = jsonify({**description(), "servers": [{"url": f"{request.host_url.rstrip('/')}{prefix}"}]})
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@cache
def description() -> Json:
    """Return the description, in OpenAPI 3.1, without the server's address."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Prelisten",
            "version": version("prelisten"),
            "description": "Screens recordings for signs of synthetic speech. Every refusal is an object `error` with "
            "a stable `code` and a sentence that says what to do.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/challenge": {"post": _challenge()},
            "/seal": {"post": _seal()},
            "/verify": {"post": _verify()},
            "/uploads": {"post": _upload()},
            "/uploads/{id}": {"get": _status()},
            "/uploads/{id}/events": {"get": _events()},
            "/health": {"get": _health()},
            "/metrics": {"get": _metrics()},
            "/openapi.json": {"get": _openapi()},
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"A key of `prelisten keys api new`, with the scopes {', '.join(Scope)}.",
                },
                "metricsToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "PRELISTEN_METRICS_TOKEN.",
                },
            },
        },
    }


def _challenge() -> Json:
    return _operation(
        "challenge",
        "Get a signed challenge for a page; nothing about any file is asked or told.",
        {"200": _json("Challenge", "Fresh; seal a claim under it until `expires_at`.")}
        | _refusals(400, 403, 413, 429),
        body=_json_body(
            _object(
                {
                    "action": ACTION,
                    "session": SESSION,
                    "test": {**_words(*FIXED_OUTCOMES), "description": "A fixed outcome; not in production."},
                },
                optional=["session", "test"],
            )
        ),
    )


def _seal() -> Json:
    return _operation(
        "seal",
        "Bind a claim of the browser's detector to its challenge; a sealed claim is not a true one.",
        {"200": _json("Token", "Send it with the file.")} | _refusals(400, 403, 413, 429),
        body=_json_body(_object({"challenge": TEXT, "claim": {"$ref": f"{REFERENCE}Claim"}})),
    )


def _verify() -> Json:
    asked = {
        "secret": {
            "type": "string",
            "description": "An API key with the scope `verify`, unless in the header.",
        },
        "response": {
            "description": "The token that the form came with, whatever it is; none is `HINT_ABSENT`."
        },
        "action": ACTION,
        "session": SESSION,
        "idempotency_key": {
            "type": ["string", "null"],
            "maxLength": 200,
            "description": "The same key and the same recording get the same answer; without one the same session.",
        },
    }
    optional = ["secret", "response", "session", "idempotency_key"]
    recording = {"type": "string", "contentMediaType": "application/octet-stream", "minLength": 1}
    in_form: Json = {"secret": TEXT, "response": TEXT, "action": ACTION}
    in_form |= {"session": {**TEXT, "maxLength": 500}, "idempotency_key": {**TEXT, "maxLength": 200}}
    form = _object({**in_form, "file": {**recording, "description": "The recording."}}, optional=optional)
    body = {
        "required": True,
        "content": {
            "application/json": {"schema": _object({**asked, "sha256": DIGEST}, optional=optional)},
            "multipart/form-data": {"schema": form},
        },
    }
    return _operation(
        "verify",
        "Ask what a hint's token is worth, for a back end that keeps the recording itself; spends the token.",
        {"200": _json("Verification", "`success`: the token is `ok`; never that what it claims is true.")}
        | _refusals(400, 401, 403, 408, 413, 429, 503, 507),
        body=body,
        security=[*NO_KEY, *KEY],
    )


def _upload() -> Json:
    fields = {
        "file": {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "minLength": 1,
            "description": "The recording.",
        },
        "file-hint": {"type": "string", "description": "The sealed hint's token."},
        "file-declared": {
            "type": "string",
            "description": "Present: the sender declares computer-generated speech.",
        },
        "idempotency_key": {
            "type": "string",
            "description": "The same key and the same file are one submission, however often they are sent.",
        },
        # Without a key these are not read, whatever they are; with one they must be fit.
        "action": {**TEXT, "description": "With an API key: which form the recording came from."},
        "context": {
            **TEXT,
            "description": f"With an API key: where it is played afterwards ({', '.join(Context)}).",
        },
        "session": {**TEXT, "description": "With an API key: the session that the hint was made in."},
    }
    schema = {"type": "object", "properties": fields, "required": ["file"]}
    stored = {
        "201": _located("Submission", "It is stored and decided."),
        "202": _located("Submission", "It is stored; ask `status_url` for its decision."),
    }
    return _operation(
        "upload",
        "Send a recording; the answer is its decision, or `hold` when that takes longer than PRELISTEN_WAIT_S.",
        stored | _refusals(400, 401, 403, 408, 413, 429, 503, 507),
        body={"required": True, "content": {"multipart/form-data": {"schema": schema}}},
        security=[*NO_KEY, *KEY],
    )


def _status() -> Json:
    return _operation(
        "status",
        "Ask where a submission is. With an API key of the scope `read` the answer holds what was found, too.",
        {"200": _json("Submission", "Where it is; `hold` is never a last word.")}
        | _refusals(401, 403, 404, 410, 429, 503),
        parameters=[_id()],
        security=[*NO_KEY, *KEY],
    )


def _events() -> Json:
    events = {
        "description": "Server-sent events `status`, each with a Submission as its data; ends with the decision.",
        "content": {"text/event-stream": {"schema": _object({"event": TEXT, "data": TEXT})}},
    }
    return _operation(
        "events",
        "Follow a submission to its decision. There are few places; after `503` ask `status` again and again instead.",
        {"200": events} | _refusals(404, 410, 503),
        parameters=[_id()],
    )


def _health() -> Json:
    return _operation(
        "health",
        "Ask whether uploads are taken and screened.",
        {"200": _json("Health", "`problems` says in words what is missing.")} | _refusals(503),
    )


def _metrics() -> Json:
    text = {
        "description": "For Prometheus.",
        "content": {"text/plain": {"schema": TEXT}, "application/openmetrics-text": {"schema": TEXT}},
    }
    return _operation(
        "metrics",
        "Ask for the metrics; to everybody who may not there is nothing here.",
        {"200": text} | _refusals(404, 503),
        security=[*NO_KEY, {"metricsToken": []}],
    )


def _openapi() -> Json:
    answer = {
        "description": "This description.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    return _operation("openapi", "Get this description.", {"200": answer})


def _operation(
    name: str,
    summary: str,
    responses: Json,
    *,
    body: Json | None = None,
    parameters: list[Json] | None = None,
    security: list[Json] | None = None,
) -> Json:
    operation: Json = {"operationId": name, "summary": summary, "responses": responses}
    if body is not None:
        operation["requestBody"] = body
    if parameters is not None:
        operation["parameters"] = parameters
    if security is not None:
        operation["security"] = security
    return operation


REFUSALS = {
    400: "The request cannot be understood; the message says what is wrong.",
    401: "The API key is wrong, or one is needed.",
    403: "The page's origin, or the key's scope, does not allow this.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    410: "It was erased.",
    413: "The body is too large.",
    429: "This client's, or this key's, share is used up; `Retry-After` says when to come back.",
    507: "The disk has no room for it; nothing was taken.",
    503: "The server has as much as it can take, or its storage is away; nothing was taken.",
}
RETRIED = (429, 503, 507)


def _refusals(*statuses: int) -> Json:
    return {str(status): _refusal(status) for status in statuses}


def _refusal(status: int) -> Json:
    refusal = _json("Refusal", REFUSALS[status])
    if status in RETRIED:
        refusal["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return refusal


def _json(schema: str, what: str) -> Json:
    return {
        "description": what,
        "content": {"application/json": {"schema": {"$ref": f"{REFERENCE}{schema}"}}},
    }


def _located(schema: str, what: str) -> Json:
    return {**_json(schema, what), "headers": {"Location": {"schema": TEXT, "required": True}}}


def _json_body(schema: Json) -> Json:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _id() -> Json:
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "pattern": "^[0-9a-f]{32}$"},
    }


def _wheels() -> Json:
    wheel = _object(
        {"name": TEXT, "version": TEXT, "file": TEXT, "sha256": DIGEST}, optional=["name", "version"]
    )
    return {"type": "array", "items": wheel}


def _object(properties: Json, *, optional: list[str] | None = None) -> Json:
    required = [name for name in properties if name not in (optional or [])]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _nullable(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _words(*words: str) -> Json:
    return {"type": "string", "enum": list(words)}


def _schemas() -> Json:
    claim = Claim.model_json_schema(ref_template=REFERENCE + "{model}")
    parts = claim.pop("$defs", {})
    reason = _object(
        {
            "code": TEXT,
            "title": TEXT,
            "text": TEXT,
            "ranges": {
                "type": "array",
                "items": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            },
        }
    )
    progress = _object(
        {
            "phase": TEXT,
            "ahead": {"type": ["integer", "null"]},
            "fraction": {"type": ["number", "null"]},
            "text": TEXT,
        }
    )
    return {
        **parts,
        "Claim": claim,
        "Challenge": _object(
            {
                "challenge": TEXT,
                "cid": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
                "expires_at": EPOCH,
                "detector": _object({"id": TEXT, "sha256": DIGEST}),
                "ui": _object(
                    {"show": _words("band", "score", "nothing"), "max_seconds": {"type": "number"}}
                ),
                "extensions": {
                    **_object({"installer": _wheels(), "wheels": _wheels()}),
                    "description": "Signals of the operator's own, and what installs them; lie at `x/<sha256>/<file>`.",
                },
                "test": {
                    "const": True,
                    "description": "Fixed outcomes are given here: this is no production.",
                },
            },
            optional=["extensions", "test"],
        ),
        "Token": _object({"token": TEXT, "expires_at": EPOCH}),
        "Verification": _verification(),
        "Submission": _submission(reason, progress),
        "Finding": _object(
            {
                "check": TEXT,
                "version": TEXT,
                "state": _words(*FindingState),
                "spoof_score": _nullable({"type": "number", "minimum": 0, "maximum": 1}),
            }
        ),
        "HintCheck": _object(
            {
                "token": _words(*TokenState),
                "recomputed": _words(*Recomputed),
                "floor": _words(*Action),
                "codes": {"type": "array", "items": TEXT},
            }
        ),
        "Health": _object(
            {
                "status": _words("ok", "degraded"),
                "waiting": {"type": "integer", "minimum": 0},
                "problems": {"type": "array", "items": TEXT},
            }
        ),
        "Refusal": _object(
            {"error": _object({"code": {"type": "string", "pattern": "^[a-z_]+$"}, "message": TEXT})}
        ),
    }


def _verification() -> Json:
    codes = {"type": "array", "items": {"type": "string", "pattern": "^HINT_[A-Z_]+$"}}
    return _object(
        {
            "success": {
                "type": "boolean",
                "description": "The token is `ok`, and was not used otherwise before.",
            },
            "error-codes": {**codes, "description": "Why not; empty with `success`."},
            "codes": {**codes, "description": "Everything that there is to say, `HINT_MISMATCH` too."},
            "challenge_ts": {**_nullable(TIME), "description": "When the page asked for its challenge."},
            "hostname": {"type": ["string", "null"], "description": "The host of that page's origin."},
            "action": _nullable(ACTION),
            "claim": _nullable({"$ref": f"{REFERENCE}Claim"}),
            "recomputed": _words(*Recomputed),
            "floor": _words("accept", "label", "hold"),
            "repeated": {"type": "boolean", "description": "The stored answer again; no second acceptance."},
        }
    )


def _submission(reason: Json, progress: Json) -> Json:
    told = {
        "id": TEXT,
        "state": _words("screening", "decided"),
        "decision": _words(*Action),
        "title": TEXT,
        "next": TEXT,
        "progress": _nullable(progress),
        "reasons": {"type": "array", "items": reason},
        "status_url": TEXT,
    }
    read = {
        "action": ACTION,
        "sha256": DIGEST,
        "received_at": TIME,
        "declared": {"type": "boolean"},
        "hint": {"$ref": f"{REFERENCE}HintCheck"},
        "findings": {"type": "array", "items": {"$ref": f"{REFERENCE}Finding"}},
        "policy": {"type": ["string", "null"]},
        "evidence_sha256": _nullable(DIGEST),
        "decided_at": _nullable(TIME),
    }
    return _object({**told, **read}, optional=list(read))
