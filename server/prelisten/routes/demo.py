"""The demonstration form at `/`, and the page that a sender is led to."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from flask import Blueprint, Response, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from prelisten.records import Action
from prelisten.routes.answers import progress_of, require_there, shown_reasons
from prelisten.routes.language import asked_language, spoken_page

if TYPE_CHECKING:
    from prelisten.extension import Prelisten, Screening

ACTION = "voice-upload"
FIELD = "voice"
# The page that the sender is led to follows the decision; waiting longer here would only look slower.
REDIRECT_WAIT_S = 2.0


def make_demo(prelisten: Prelisten) -> Blueprint:
    """Return the blueprint of the demonstration pages."""
    blueprint = Blueprint("demo", __name__)

    @blueprint.get("/")
    def form() -> Response:
        """Show the form. The key makes a double click, or a reload, one submission."""
        limit_mb = prelisten.config.max_upload_bytes // 1_000_000
        return spoken_page(
            "form.html", action=ACTION, field=FIELD, idempotency_key=secrets.token_hex(16), limit_mb=limit_mb
        )

    @blueprint.post("/")
    @prelisten.screened(FIELD, action=ACTION, wait_s=min(REDIRECT_WAIT_S, prelisten.config.wait_s))
    def send(screening: Screening) -> BaseResponse:
        """Lead the sender to the submission's own page, whatever the decision is."""
        return redirect(url_for("demo.submission", submission_id=screening.submission.id), code=303)

    @blueprint.get("/submissions/<submission_id>")
    def submission(submission_id: str) -> Response:
        """Show where a submission is; while that is `hold`, the page follows it."""
        with prelisten.services.storage.read() as tx:
            stored, decision = require_there(tx.submission(submission_id)), tx.decision(submission_id)
            evidence, case = tx.evidence(submission_id), tx.case_for(submission_id)
            job = prelisten.services.engine.status(tx, submission_id)
        language = asked_language()
        page = spoken_page(
            "submission.html",
            submission=stored,
            action=Action.HOLD if decision is None else decision.action,
            is_final=decision is not None,
            reasons=shown_reasons(() if decision is None else decision.reasons, language=language),
            evidence=evidence,
            resolved_at=None if case is None else case.resolved_at,
            progress=None if decision else progress_of(job, language=language),
            status_url=url_for("prelisten_api.status", submission_id=submission_id),
            events_url=url_for("prelisten_api.events", submission_id=submission_id),
        )
        page.headers["Cache-Control"] = "no-store"
        return page

    return blueprint
