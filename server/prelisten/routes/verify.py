"""`POST /prelisten/v1/verify`: what a hint's token is worth, for back ends that keep the recording themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, g, request

from prelisten.access import ApiKey, ForbiddenError, Scope, UnauthorizedError
from prelisten.errors import BadRequestError
from prelisten.routes.client import client_address, leave_unread
from prelisten.routes.exchange import (
    action_of,
    fresh,
    idempotency_key_of,
    json_body,
    session_of,
    sha256_of,
)
from prelisten.routes.intake import FormFields, Intake
from prelisten.verification import REPEATED, Question, answer

if TYPE_CHECKING:
    from prelisten.extension import Prelisten

FIELDS = {"secret", "response", "action", "session", "idempotency_key"}
FILE, SHA256 = "file", "sha256"


def verify() -> Response:
    """Answer a back end: `200` with the answer inside, whatever the token is; `4xx` for the caller's own mistake.

    Not for pages: it carries an API key, so that no answer to a cross-origin request may be read by one.
    """
    prelisten: Prelisten = current_app.extensions["prelisten"]
    bearer = _bearer()
    if request.mimetype == "multipart/form-data":
        return _about_a_file(prelisten, bearer)
    body = json_body(FIELDS | {SHA256})
    asker = _asker(prelisten, bearer, body.get("secret"))
    prelisten.admission.hit_key(asker)
    question = _question(body, sha256_of(body.get(SHA256)), asker)
    return fresh(**answer(question, prelisten.services, listening=_place_of(prelisten)))


def _about_a_file(prelisten: Prelisten, bearer: str | None) -> Response:
    """Receive the recording as an upload is, compare it, and keep nothing of it.

    With the key in the header a wrong one is refused before the recording is read, and its shares count from the
    beginning; in the field `secret` it is read with the rest, as a stranger's upload would be.
    """
    with ExitStack() as held:
        asker = None if bearer is None else _asker(prelisten, bearer, None)
        sent = request._get_current_object()  # type: ignore[attr-defined]
        held.enter_context(prelisten.admission.place(sent, asker))
        intake = held.enter_context(Intake(sent, prelisten.config))
        received = intake.upload(FormFields(FILE), action="", origin="")
        form = _form()
        if asker is None:
            asker = _asker(prelisten, None, form.get("secret"))
            held.enter_context(prelisten.admission.share(asker))
        elif "secret" in form:
            raise BadRequestError("Send the API key once: in the header, or as `secret`.")
        question = _question(form, received.sha256, asker, Path(received.path))
        told = answer(question, prelisten.services, listening=_place_of(prelisten))
        if told[REPEATED]:
            prelisten.api_keys.give_upload_back(asker)
        return fresh(**told)


def _question(body: Mapping[str, Any], sha256: str, asker: ApiKey, path: Path | None = None) -> Question:
    return Question(
        token=body.get("response"),
        sha256=sha256,
        action=action_of(body.get("action")),
        session=session_of(body.get("session")),
        idempotency_key=idempotency_key_of(body.get("idempotency_key")),
        asker=asker.id,
        path=path,
    )


def _form() -> dict[str, str]:
    """Return the form's fields. Raises `BadRequestError` for one that is unknown, or that stands twice."""
    unknown = (set(request.form) - FIELDS) | (set(request.files) - {FILE})
    twice = {name for name, values in request.form.lists() if len(values) > 1}
    if unknown or twice:
        raise BadRequestError(
            f"The form must have the file `{FILE}` and no other fields than {sorted(FIELDS)}, each of them once."
        )
    return request.form.to_dict()


def _bearer() -> str | None:
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer":
        return None
    return authorization.token or ""


def _asker(prelisten: Prelisten, bearer: str | None, secret: object) -> ApiKey:
    """Return the API key that asks.

    Raises `BadRequestError` for two, `UnauthorizedError`, `ForbiddenError`, and `RateLimitedError` for who tries many.
    """
    if bearer is not None and secret is not None:
        raise BadRequestError("Send the API key once: in the header, or as `secret`.")
    stated = bearer if bearer is not None else secret
    try:
        if not isinstance(stated, str):
            raise UnauthorizedError(
                "Verifying needs an API key with the scope `verify`: send it as `secret`."
            )
        asker = prelisten.api_keys.authenticate(stated)
        g.prelisten_api_key = asker.id
        asker.require(Scope.VERIFY)
    except (UnauthorizedError, ForbiddenError) as error:
        leave_unread(request)
        prelisten.admission.rates.hit(prelisten.config.rate_limit, "wrong key", client_address(request))
        raise error
    return asker


def _place_of(prelisten: Prelisten) -> Callable[[], AbstractContextManager[None]]:
    return lambda: prelisten.pressure.listening(prelisten.config.wait_s)
