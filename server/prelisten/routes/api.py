"""`/prelisten/v1/`: challenge, seal, uploads, status, health, and the built widget."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, current_app, g, request, url_for
from werkzeug.exceptions import HTTPException

from prelisten.access import ApiKey, ForbiddenError, Scope, UnauthorizedError
from prelisten.assets import bundled_detector
from prelisten.errors import BadRequestError, PrelistenError
from prelisten.hints import issue_challenge, seal
from prelisten.hints.seal import FIXED_OUTCOMES
from prelisten.pipeline import Services
from prelisten.routes.answers import answer, progress_of, record, require_there
from prelisten.routes.client import client_address, is_own_origin, leave_unread, page_origin
from prelisten.routes.events import events
from prelisten.routes.exchange import action_of, fresh, json_body, session_of
from prelisten.routes.language import asked_language
from prelisten.routes.metrics import metrics
from prelisten.routes.openapi import openapi
from prelisten.routes.request_log import refused
from prelisten.routes.static import register_static, serve_wheel
from prelisten.routes.verify import verify
from prelisten.wheels import for_page, listed_wheels

PREFIX = "/prelisten/v1"
NAME = "prelisten_api"
UPLOAD_ACTION = "upload"
# A page may ask again without asking first whether it may, for so long.
PREFLIGHT_S = 600


class NoTestModeError(PrelistenError):
    """A fixed outcome was asked for where no tests are run."""

    code = "test_mode_off"
    http_status = 403


def services() -> Services:
    """Return what `Prelisten(app)` wired for the current application."""
    wired: Services = current_app.extensions["prelisten"].services
    return wired


def make_blueprint() -> Blueprint:
    """Return the API's blueprint. One is made for each application, since Flask writes into it."""
    blueprint = Blueprint(NAME, __name__, url_prefix=PREFIX)
    blueprint.post("/challenge")(challenge)
    blueprint.post("/seal")(seal_claim)
    blueprint.post("/verify")(verify)
    blueprint.post("/uploads")(upload)
    blueprint.get("/uploads/<submission_id>")(status)
    blueprint.get("/uploads/<submission_id>/events")(events)
    blueprint.get("/health")(health)
    blueprint.get("/metrics")(metrics)
    blueprint.get("/openapi.json")(openapi)
    blueprint.get("/x/<sha256>/<name>")(extension_wheel)
    register_static(blueprint)
    blueprint.register_error_handler(PrelistenError, _error)
    blueprint.register_error_handler(HTTPException, http_error)
    blueprint.after_request(_cross_origin)
    return blueprint


def challenge() -> Response:
    """Sign a fresh challenge for a page. Nothing about any file is asked or told.

    Where tests are run the answer says so, and the challenge may carry a fixed outcome. It lists every detector
    that is accepted, so that a page left open across a deployment can seal what its own one said.
    """
    body, wired = json_body({"action", "session", "test"}), services()
    config = wired.config
    detector_id, sha256 = bundled_detector()
    text, issued = issue_challenge(
        action=action_of(body.get("action")),
        origin=_allowed_origin(),
        session=session_of(body.get("session")),
        detectors=set(wired.detectors),
        keys=wired.keys,
        now=int(time.time()),
        ttl_s=config.challenge_ttl_s,
        test=_fixed_outcome(body),
    )
    return fresh(
        challenge=text,
        cid=issued.cid,
        expires_at=issued.exp,
        detector={"id": detector_id, "sha256": sha256},
        ui={"show": config.show, "max_seconds": config.max_seconds},
        **for_page(config),
        **({} if config.env == "production" else {"test": True}),
    )


def extension_wheel(sha256: str, name: str) -> Response:
    """Serve a wheel of the operator's own, or of micropip, under the digest of its bytes."""
    listed = listed_wheels(services().config.extensions)
    path = next((one.path for one in listed if (one.sha256, one.path.name) == (sha256, name)), None)
    return serve_wheel(path, f"{sha256}/{name}")


def _fixed_outcome(body: dict[str, Any]) -> Any:
    """Return the outcome that a challenge is to have, `None` for a real one."""
    if "test" not in body:
        return None
    if services().config.env == "production":
        raise NoTestModeError(
            "Fixed outcomes are for tests: set PRELISTEN_ENV to `test` or `development`, or leave `test` out."
        )
    if body["test"] not in FIXED_OUTCOMES:
        raise BadRequestError(f"`test` is one of {', '.join(FIXED_OUTCOMES)}.")
    return body["test"]


def seal_claim() -> Response:
    """Bind a claim to its challenge. The token says that we sealed it, never that it is true."""
    body, wired = json_body({"challenge", "claim"}), services()
    token, sealed = seal(
        body.get("challenge"),
        body.get("claim"),
        origin=_allowed_origin(),
        keys=wired.keys,
        now=int(time.time()),
        ttl_s=wired.config.token_ttl_s,
        with_tests=wired.config.env != "production",
    )
    return fresh(token=token, expires_at=sealed.exp)


def upload() -> tuple[Response, int]:
    """Receive a recording (multipart, field `file`) and answer with its decision, or with `hold`.

    Without an API key it is screened for the action `upload`: a sender's word must not choose the policy's section.
    """
    api_key = _caller(Scope.UPLOAD)
    if api_key is None:
        _allowed_origin()
    screening = current_app.extensions["prelisten"].screen("file", action=UPLOAD_ACTION, api_key=api_key)
    response = fresh(**screening.to_dict(language=asked_language()))
    response.headers["Location"] = screening.status_url
    return response, 202 if screening.record is None else 201


def status(submission_id: str) -> Response:
    """Tell where a submission is. Its id cannot be guessed; who has it may ask.

    A back end with the scope `read` is told more than an uploader: findings, and what the hint was worth.
    """
    api_key = _caller(Scope.READ)
    with services().storage.read() as tx:
        submission, decision = require_there(tx.submission(submission_id)), tx.decision(submission_id)
        findings = tx.findings(submission_id) if api_key else ()
        job = services().engine.status(tx, submission_id)
    if decision is None:  # After a restart nothing else may have started the screening yet.
        current_app.extensions["prelisten"].ensure_workers()
    status_url = url_for(f"{NAME}.status", submission_id=submission.id)
    language = asked_language()
    progress = None if decision else progress_of(job, language=language)
    body = answer(submission.id, decision, status_url, progress, language=language)
    if api_key is not None:
        body |= record(submission, decision, findings)
    return fresh(**body)


def health() -> tuple[Response, int]:
    """Tell whether uploads are taken and screened; names what to do when no screening process lives."""
    wired = services()
    alive = wired.engine.has_live_worker()
    problems = [] if alive else ["No screening process lives: start one with `prelisten worker`."]
    waiting = wired.engine.queue_depth()
    return fresh(status="ok" if alive else "degraded", waiting=waiting, problems=problems), 200


def _caller(scope: Scope) -> ApiKey | None:
    """Return the API key of a request, or `None` when it carries none.

    A key that is wrong is refused, whatever the request could do without one. Raises `UnauthorizedError`,
    `ForbiddenError`, and `RateLimitedError` for who tries many.
    """
    prelisten = current_app.extensions["prelisten"]
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer":
        if scope is Scope.UPLOAD and prelisten.config.api_key_required:
            leave_unread(request)
            raise UnauthorizedError(
                "Uploads need an API key here: send `Authorization: Bearer prelisten_...`."
            )
        return None
    try:
        api_key: ApiKey = prelisten.api_keys.authenticate(authorization.token or "")
        g.prelisten_api_key = api_key.id
        api_key.require(scope)
    except (UnauthorizedError, ForbiddenError) as error:
        leave_unread(request)
        prelisten.admission.rates.hit(prelisten.config.rate_limit, "wrong key", client_address(request))
        raise error
    return api_key


def _allowed_origin() -> str:
    origin = page_origin(request)
    if not is_own_origin(request) and origin not in services().config.origins:
        error = BadRequestError(
            f"Pages of {origin[:200]} may not call this server: add them to PRELISTEN_ORIGINS."
        )
        error.code, error.http_status = "origin_not_allowed", 403
        raise error
    return origin


def _cross_origin(response: Response) -> Response:
    origin = request.headers.get("Origin")
    response.headers.add("Vary", "Origin")
    # A verification carries an API key, which no page may hold.
    is_for_pages = request.endpoint != f"{NAME}.verify"
    if is_for_pages and origin and origin in services().config.origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-ID"
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_S)
    return response


def _error(error: PrelistenError) -> tuple[Response, int]:
    refused(error.code)
    response = fresh(error={"code": error.code, "message": str(error)})
    if error.http_status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="prelisten"'
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response, error.http_status


def http_error(error: HTTPException) -> tuple[Response, int]:
    """Answer a program: the status and its headers (Allow, Retry-After) as they are, the body as JSON."""
    code = "rate_limited" if error.code == 429 else (error.name or "error").lower().replace(" ", "_")
    refused(code)
    response = fresh(error={"code": code, "message": error.description or error.name})
    response.headers.extend([pair for pair in error.get_headers() if pair[0] != "Content-Type"])
    return response, error.code or 500
