"""The reviewer's pages under `/review`: sign in by a one-time link, a list, a case, its audio, an outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as BaseResponse

from prelisten import audit, outbox
from prelisten.catalogue import sentence
from prelisten.checks.claim import NAME as CLAIM
from prelisten.errors import BadRequestError, NotFoundError
from prelisten.records import Decision, Finding, Outcome, ReviewCase, Submission
from prelisten.review.playback import playback_time
from prelisten.review.resolution import read_resolution, read_reviewer
from prelisten.review.sign_in import (
    SESSION_TTL_S,
    end_session,
    form_token,
    is_form_token,
    is_link_code,
    new_session,
    session_reviewer,
    spend_link_code,
)
from prelisten.routes.answers import ReasonText, reason_text
from prelisten.routes.api import services
from prelisten.routes.client import leave_unread
from prelisten.sockets import MAX_SMALL_BODY_BYTES
from prelisten.storage.interface import Evidence

COOKIE = "prelisten_reviewer"
PAGE_SIZE = 50
MAX_OFFSET = 1_000_000


def make_review() -> Blueprint:
    """Return the blueprint of the review pages."""
    blueprint = Blueprint("review", __name__, url_prefix="/review")
    blueprint.get("/sign-in")(sign_in_page)
    blueprint.post("/sign-in")(sign_in)
    blueprint.post("/sign-out")(signed_in(sign_out))
    blueprint.get("")(signed_in(case_list))
    blueprint.get("/", endpoint="case_list_slash")(signed_in(case_list))
    blueprint.get("/cases/<case_id>")(signed_in(case_page))
    blueprint.post("/cases/<case_id>")(signed_in(resolve))
    blueprint.get("/cases/<case_id>/audio.wav")(signed_in(audio))
    blueprint.get("/cases/<case_id>/original")(signed_in(original))
    return blueprint


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who is signed in, and the text that this session's forms must carry."""

    name: str
    form_token: str


def _reviewer() -> Reviewer | None:
    cookie, keys = request.cookies.get(COOKIE, ""), services().keys
    name = session_reviewer(services().config.data, cookie, keys)
    return None if name is None else Reviewer(name, form_token(cookie, keys))


def signed_in(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let only a signed-in reviewer pass, and only forms of the reviewer's own session change anything."""

    @wraps(view)
    def guarded(**kwargs: Any) -> Any:
        reviewer = _reviewer()
        if reviewer is None:
            return render_template("review/signed_out.html"), 401
        if request.method == "POST":
            sent = request.form.get("form_token", "")
            if not is_form_token(sent, request.cookies[COOKIE], services().keys):
                raise BadRequestError("This form belongs to another session: open the page again, then send.")
        response = make_response(view(reviewer=reviewer, **kwargs))
        response.headers["Cache-Control"] = "no-store"
        return response

    return guarded


def sign_in_page() -> tuple[str, dict[str, str]]:
    """Ask for a name. Opening the link spends nothing: programs that look at links must not use it up."""
    code = request.args.get("code", "")
    page = render_template(
        "review/sign_in.html", code=code, is_usable=is_link_code(services().config.data, code)
    )
    return page, {"Cache-Control": "no-store"}


def sign_in() -> BaseResponse:
    """Spend the link and start a session. A body without a length, or a long one, is not waited for."""
    if request.content_length is None or request.content_length > MAX_SMALL_BODY_BYTES:
        leave_unread(request)
        raise BadRequestError("The form is too long. Open the link again.")
    reviewer = read_reviewer(request.form.get("reviewer", ""))
    if not spend_link_code(services().config.data, request.form.get("code", "")):
        raise BadRequestError(
            "This link was used already, or is too old. `prelisten review-link` makes a new one."
        )
    response = redirect(url_for("review.case_list"), code=303)
    response.set_cookie(
        COOKIE,
        new_session(services().config.data, reviewer, services().keys),
        max_age=SESSION_TTL_S,
        path=_cookie_path(),
        httponly=True,
        samesite="Strict",
        secure=request.is_secure,
    )
    return response


def sign_out(reviewer: Reviewer) -> BaseResponse:
    """End the session: a copy of its cookie is worth nothing from now on."""
    end_session(services().config.data, request.cookies[COOKIE])
    response = redirect(url_for("review.case_list"), code=303)
    response.delete_cookie(COOKIE, path=_cookie_path())
    return response


def _cookie_path() -> str:
    """Return the pages' own path: what else the host serves never gets the cookie."""
    return f"{request.script_root}/review"


def case_list(reviewer: Reviewer) -> str:
    """Show the open cases, oldest first, or the resolved ones."""
    is_open = request.args.get("show") != "resolved"
    offset = min(max(request.args.get("offset", 0, type=int), 0), MAX_OFFSET)
    with services().storage.read() as tx:
        cases = tx.cases(is_open=is_open, limit=PAGE_SIZE + 1, offset=offset)
        rows = [(case, tx.submission(case.submission_id), tx.decision(case.submission_id)) for case in cases]
        counts = {"open": tx.count_cases(is_open=True), "resolved": tx.count_cases(is_open=False)}
    return render_template(
        "review/list.html",
        reviewer=reviewer,
        rows=rows[:PAGE_SIZE],
        is_open=is_open,
        counts=counts,
        next_offset=offset + PAGE_SIZE if len(rows) > PAGE_SIZE else None,
        previous_offset=max(0, offset - PAGE_SIZE) if offset > 0 else None,
    )


@dataclass(frozen=True, slots=True)
class CaseFile:
    """Everything that a reviewer is shown about a case: the server's own findings, never the claim."""

    case: ReviewCase
    submission: Submission
    decision: Decision | None
    findings: tuple[Finding, ...]
    evidence: Evidence | None

    @property
    def reasons(self) -> list[ReasonText]:
        """Return every reason of the decision, heaviest first."""
        reasons = () if self.decision is None else self.decision.reasons
        return [reason_text(reason) for reason in sorted(reasons, key=lambda reason: -abs(reason.weight))]

    @property
    def segments(self) -> list[dict[str, Any]]:
        """Return the scored segments, for the timeline."""
        hint = None if self.evidence is None else self.evidence.hint
        return [] if hint is None else list(hint["segments"])

    @property
    def differences(self) -> str:
        """Return in which groups the browser's claim differs from what was heard, in words; never its values."""
        found = next((finding for finding in self.findings if finding.check == CLAIM), None)
        names = () if found is None else found.details.get("differences", ())
        return ", ".join(sentence(f"difference.{name}") for name in names)

    def playback(self, seconds: float) -> float:
        """Return where a place of the recording lies in the playback, in seconds."""
        return playback_time(seconds, () if self.evidence is None else self.evidence.pieces)


def _case_file(case_id: str) -> CaseFile:
    with services().storage.read() as tx:
        case = tx.case(case_id)
        submission = None if case is None else tx.submission(case.submission_id)
        if case is None or submission is None:
            raise NotFoundError("There is no case at this address.")
        return CaseFile(
            case,
            submission,
            tx.decision(submission.id),
            tx.findings(submission.id),
            tx.evidence(submission.id),
        )


def case_page(case_id: str, reviewer: Reviewer) -> str:
    """Show a case."""
    return render_template(
        "review/case.html", reviewer=reviewer, file=_case_file(case_id), outcomes=list(Outcome), error=None
    )


def resolve(case_id: str, reviewer: Reviewer) -> Any:
    """Store the reviewer's word. The first one stands; a second is told so and loses nothing."""
    try:
        resolution = read_resolution(
            request.form.get("outcome", ""), request.form.get("note", ""), reviewer.name
        )
    except BadRequestError as error:
        page = render_template(
            "review/case.html",
            reviewer=reviewer,
            file=_case_file(case_id),
            outcomes=list(Outcome),
            error=str(error),
            note=request.form.get("note", ""),
        )
        return page, 400
    submission, at = _case_file(case_id).submission, datetime.now(UTC)
    with services().storage.transaction() as tx:
        is_first = tx.resolve_case(
            case_id,
            outcome=resolution.outcome,
            note=resolution.note,
            reviewer=resolution.reviewer,
            at=at,
        )
        if is_first:  # The note and the reviewer's name stay here: they are nobody else's.
            told = {"case_id": case_id, "outcome": resolution.outcome.value}
            outbox.put(tx, "case.resolved", submission.id, {**told, "resolved_at": at.isoformat()})
            audit.append(tx, audit.Kind.REVIEW_OUTCOME, submission.id, told)
    if not is_first:
        page = render_template(
            "review/case.html",
            reviewer=reviewer,
            file=_case_file(case_id),
            outcomes=list(Outcome),
            error="Somebody resolved this case before you did; what they wrote stands below.",
            note=resolution.note,
        )
        return page, 409
    return redirect(url_for("review.case_list"), code=303)


def audio(case_id: str, reviewer: Reviewer) -> Response:
    """Play exactly what was scored: the samples that the server decoded, as WAV, with ranges for seeking."""
    evidence = _case_file(case_id).evidence
    if evidence is None or evidence.pcm_sha256 is None:
        raise NotFoundError("Nothing of this recording could be decoded, so there is nothing to play.")
    return _stored_file(evidence.pcm_sha256, "playback.wav", media_type="audio/wav", as_attachment=False)


def original(case_id: str, reviewer: Reviewer) -> Response:
    """Hand out the file as it was sent, as a download that no browser runs or shows."""
    submission = _case_file(case_id).submission
    # Neither the sender's file name nor the media type that the sender stated: both are a stranger's words.
    return _stored_file(
        submission.sha256, f"{submission.id}.bin", media_type="application/octet-stream", as_attachment=True
    )


def _stored_file(sha256: str, name: str, *, media_type: str, as_attachment: bool) -> Response:
    """Send a blob, whole or in ranges, so that no browser takes it for anything else than is said here.

    `nosniff`: the stated type stands. The sandboxing policy: opened as a page, it may run and load nothing. Raises
    `NotFoundError` when the recording was removed by its age.
    """
    path = services().blobs.path(sha256)
    if not path.is_file():
        raise NotFoundError("This recording was removed from the disk; what was found in it is kept.")
    response = send_file(
        path,
        mimetype=media_type,
        as_attachment=as_attachment,
        download_name=name,
        conditional=True,
        etag=sha256,
    )
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
