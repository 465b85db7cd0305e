"""What other people's Flask applications import: `Prelisten(app)` and `@prelisten.screened(...)`."""

from __future__ import annotations

import atexit
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from flask import Flask, g, request, url_for
from flask_limiter import Limiter
from werkzeug.exceptions import HTTPException, InternalServerError, default_exceptions

from prelisten.access import ApiKey, ApiKeys
from prelisten.catalogue import ENGLISH
from prelisten.config import Config, load_config
from prelisten.errors import PrelistenError
from prelisten.hints.pairing import paired
from prelisten.metrics import Totals
from prelisten.pipeline import Services, receive, wait_for_decision
from prelisten.pressure import Pressure
from prelisten.records import Action, Context, Decision, Finding, HintCheck, Submission, Upload
from prelisten.routes import request_log
from prelisten.routes.admission import Admission
from prelisten.routes.answers import ReasonText, answer, require_there, shown_reasons
from prelisten.routes.api import NAME, make_blueprint
from prelisten.routes.client import client_address, page_origin
from prelisten.routes.intake import MAX_FIELD_CHARACTERS, MAX_FILES, FormFields, Intake, quarantined
from prelisten.routes.rates import Rates, counter_address, counter_options
from prelisten.supervisor import WorkerSet
from prelisten.wiring import wire


def refusal(error: PrelistenError) -> HTTPException:
    """Return an error of ours as one of Werkzeug's, for the application's own handlers; its `slug` is our code."""
    kind = default_exceptions.get(error.http_status, InternalServerError)
    answer = kind(description=str(error))
    answer.code = error.http_status  # Werkzeug has no exception of its own for 507.
    if error.retry_after_s is not None:
        answer.retry_after = error.retry_after_s  # type: ignore[attr-defined]
    answer.slug = error.code  # type: ignore[attr-defined]
    return answer


@dataclass(frozen=True, slots=True)
class Screening:
    """What a screened view is given.

    `decision` is `hold` while machine work is outstanding; ask `status_url`, which answers JSON, for the rest.
    `is_repeated` tells that the same upload was sent before: this is its stored answer, not a second upload.
    """

    submission: Submission
    record: Decision | None
    findings: tuple[Finding, ...]
    status_url: str
    is_repeated: bool

    @property
    def decision(self) -> Action:
        """Return the action: `accept`, `label`, `hold`, `review` or `reject`."""
        return Action.HOLD if self.record is None else self.record.action

    @property
    def hint(self) -> HintCheck:
        """Return what could be established about the browser's token."""
        return self.submission.hint_check

    @property
    def reasons(self) -> list[ReasonText]:
        """Return the reasons as people read them, heaviest first."""
        return shown_reasons(() if self.record is None else self.record.reasons)

    def to_dict(self, *, language: str = ENGLISH) -> dict[str, Any]:
        """Return what may be told to the uploader, as JSON-ready data, with sentences in one of our languages."""
        return answer(self.submission.id, self.record, self.status_url, language=language)


class Prelisten:
    """Register `/prelisten/v1/*` on an application and screen the uploads of its views.

    Settings come from keywords, else from `PRELISTEN_*` (see `prelisten.config.Config`). Raises `ConfigError`
    at start-up when there are no keys or a setting is unfit; the message names the command that helps.
    """

    def __init__(self, app: Flask, config: Config | None = None, **settings: Any) -> None:
        self.config = load_config(**settings) if config is None else config
        self.services: Services = wire(self.config)
        self._workers = WorkerSet(self.config)
        self._workers_lock = threading.Lock()
        atexit.register(self._workers.stop)
        self.pressure = Pressure(
            receiving=self.config.max_receiving,
            receiving_per_client=self.config.max_receiving_per_client,
            waiting=self.config.max_waiting,
            listening=self.config.max_verifying,
        )
        self.api_keys = ApiKeys(
            self.services.storage,
            self.services.keys,
            env=self.config.env,
            uploads_per_day=self.config.api_uploads_per_day,
        )
        redis_url, keys = self.config.redis_url, self.services.keys
        rates = Rates(redis_url, digest=lambda client: keys.digest("rate", client))
        self.admission = Admission(self.config, self.services.engine, self.pressure, self.api_keys, rates)
        app.extensions["prelisten"] = self
        self.totals = Totals(self.services.meter, self.services.storage)
        self._upkeep: tuple[int, threading.Thread] | None = None
        self._ended = threading.Event()
        blueprint = make_blueprint()
        request_log.install(blueprint, self.services)
        limiter = Limiter(
            lambda: keys.digest("rate", client_address(request)),
            storage_uri=counter_address(redis_url),
            storage_options=counter_options(redis_url),
            in_memory_fallback_enabled=bool(redis_url),
            key_prefix="prelisten:rate",
            headers_enabled=True,
        )
        app.register_blueprint(blueprint)
        views: dict[str, Any] = app.view_functions
        for view in ("challenge", "seal_claim"):
            endpoint = f"{blueprint.name}.{view}"
            views[endpoint] = limiter.limit(self.config.rate_limit)(views[endpoint])
        limiter.init_app(app)

    def screened(
        self,
        field: str,
        *,
        action: str,
        context: str = Context.FEED,
        session: Callable[[], str | None] = lambda: None,
        wait_s: float | None = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Screen the recording in a form's field before the view runs; the view gets `screening=Screening`.

        `action` must equal the element's `action`, and `session()` its `session`. `context` says where the recording
        is played (`feed`, `chat`, `live`), for the policy's lines about it. A missing or bad hint never
        refuses the upload: it is screened fully. An upload that cannot be taken (none, empty, too large, disk
        full, too many at once) aborts with its HTTP status, `Retry-After` where waiting helps, and a sentence that
        says what to do.
        """

        where = Context(context)

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(view)
            def screened_view(*args: Any, **kwargs: Any) -> Any:
                with self._refusing():
                    screening = self.screen(
                        field, action=action, context=where, session=session(), wait_s=wait_s
                    )
                return view(*args, screening=screening, **kwargs)

            return screened_view

        return decorate

    def screened_all(
        self,
        field: str,
        *,
        action: str,
        at_most: int = MAX_FILES,
        context: str = Context.FEED,
        session: Callable[[], str | None] = lambda: None,
        wait_s: float | None = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Screen all recordings of a field (`<input multiple>`); the view gets `screenings`, a list in their order.

        As `screened` otherwise. Each recording is a submission of its own, with its own token, decision and status.
        A form with more than `at_most` recordings, or with an empty one, is refused as a whole before any is stored.
        Raises `ValueError` at start-up where `at_most` is more than a form may carry.
        """
        where = Context(context)
        if not 1 <= at_most <= MAX_FILES:
            raise ValueError(f"at_most is {at_most}; a form may carry 1 to {MAX_FILES} files.")

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(view)
            def screened_view(*args: Any, **kwargs: Any) -> Any:
                with self._refusing():
                    screenings = self.screen_all(
                        field, action=action, at_most=at_most, context=where, session=session(), wait_s=wait_s
                    )
                return view(*args, screenings=screenings, **kwargs)

            return screened_view

        return decorate

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Hand what was refused to the application's own handlers, and count it where nobody else does."""
        try:
            yield
        except PrelistenError as error:
            if "prelisten_request" not in g:  # A view of an application that we do not log.
                self.services.meter.count("refusals", code=error.code)
            raise refusal(error) from error

    def screen(
        self,
        field: str,
        *,
        action: str,
        context: Context = Context.FEED,
        session: str | None = None,
        wait_s: float | None = None,
        api_key: ApiKey | None = None,
    ) -> Screening:
        """Receive the current request's recording, wait a little for its decision, and return both.

        With `api_key` its shares and quota count instead of the address's, and the form may name the action and
        the session, since a back end knows them.
        """
        services = self.services
        sent = request._get_current_object()  # type: ignore[attr-defined]
        with (
            self.admission.place(sent, api_key),
            services.meter.timed("stage_seconds", stage="receive"),
            Intake(sent, self.config) as intake,
        ):
            upload = intake.upload(
                FormFields(field), action=action, origin=page_origin(request), session=session
            )
            upload = replace(upload, context=context)
            if api_key is not None:
                upload = intake.from_back_end(upload, key_id=api_key.id)
            submission, is_repeated = receive(upload, services)
            if api_key is not None and is_repeated:
                self.api_keys.give_upload_back(api_key)
        return self._screening(submission, wait_s, is_repeated=is_repeated)

    def screen_all(
        self,
        field: str,
        *,
        action: str,
        at_most: int = MAX_FILES,
        context: Context = Context.FEED,
        session: str | None = None,
        wait_s: float | None = None,
    ) -> list[Screening]:
        """Receive the current request's recordings, wait a little for their decisions, and return them in order.

        `wait_s` is for all together. When one cannot be stored (`StorageError`) those before it are stored already:
        the same form again, with its idempotency key or its tokens, finds them.
        """
        services, fields = self.services, FormFields(field)
        sent = request._get_current_object()  # type: ignore[attr-defined]
        with (
            self.admission.place(sent),
            services.meter.timed("stage_seconds", stage="receive"),
            Intake(sent, self.config) as intake,
        ):
            uploads = intake.uploads(
                fields, action=action, origin=page_origin(request), session=session, at_most=at_most
            )
            self.admission.count_more(sent, len(uploads) - 1)
            tokens = paired(intake.tokens(fields), [upload.sha256 for upload in uploads], services.keys)
            received = [
                receive(replace(upload, context=context, token=token), services)
                for upload, token in zip(uploads, tokens, strict=True)
            ]
        until = time.monotonic() + (self.config.wait_s if wait_s is None else wait_s)
        return [
            self._screening(submission, max(0.0, until - time.monotonic()), is_repeated=is_repeated)
            for submission, is_repeated in received
        ]

    def screen_file(
        self,
        path: Path,
        *,
        action: str,
        token: str | None = None,
        context: Context = Context.FEED,
        session: str | None = None,
        origin: str | None = None,
        file_name: str = "",
        media_type: str = "",
        wait_s: float = 0.0,
    ) -> Screening:
        """Screen a recording that an upload server of yours (tus, parts) has put on this machine's disk.

        `token` is what came beside it, `origin` the page's where you know it. Once this returns the file is gone
        from `path`. Raises `EmptyUploadError`, `UploadTooLargeError`, and `StorageError` where it is no regular
        file, is still being written, or could not be stored. Whatever is raised, the file is still at `path`: call
        again. With a token what was stored already is then found again; without one it may be stored twice.
        """
        file = quarantined(path, self.config)
        upload = Upload(
            path=str(file.path),
            sha256=file.hexdigest(),
            size_bytes=file.size_bytes,
            file_name=file_name[:MAX_FIELD_CHARACTERS],
            media_type=media_type[:MAX_FIELD_CHARACTERS],
            action=action,
            token=token or None,
            session=session,
            origin=origin,
            context=context,
        )
        submission, is_repeated = receive(upload, self.services)
        screening = self._screening(submission, wait_s, is_repeated=is_repeated)
        with suppress(
            OSError
        ):  # It is stored: a file that cannot be removed must not look like one that was not.
            path.unlink(missing_ok=True)
        return screening

    def _screening(self, submission: Submission, wait_s: float | None, *, is_repeated: bool) -> Screening:
        """Wait a little for the decision, and return what there is."""
        services = self.services
        self.ensure_workers()
        patience_s = self.config.wait_s if wait_s is None else wait_s
        with self.pressure.waiting() as may_wait:
            decision = wait_for_decision(submission.id, services, patience_s if may_wait else 0.0)
        with services.storage.read() as tx:
            findings = tx.findings(submission.id)
        status_url = url_for(f"{NAME}.status", submission_id=submission.id)
        return Screening(submission, decision, findings, status_url, is_repeated)

    def look_up(self, submission_id: str) -> Screening:
        """Return where an earlier submission is now: what became of a `hold`.

        Raises `NotFoundError` for an id that was never given, `GoneError` when it was erased meanwhile.
        """
        with self.services.storage.read() as tx:
            submission, decision = require_there(tx.submission(submission_id)), tx.decision(submission_id)
            findings = tx.findings(submission_id)
        if decision is None:  # After a restart nothing else may have started the screening yet.
            self.ensure_workers()
        status_url = url_for(f"{NAME}.status", submission_id=submission.id)
        return Screening(submission, decision, findings, status_url, is_repeated=False)

    def open_recording(self, submission_id: str) -> BinaryIO:
        """Open a submission's recording as it was uploaded, for an application that plays or keeps it.

        Raises `NotFoundError`, also when it is past `keep_recordings_days`, and `GoneError` when it was erased.
        """
        with self.services.storage.read() as tx:
            submission = require_there(tx.submission(submission_id))
        return self.services.blobs.open(submission.sha256)

    def ensure_workers(self) -> None:
        """Start the screening processes, unless another process of this data folder has done so.

        Also the thread that stores what this process counts: here, since a server may fork after it was wired.
        """
        self._keep_counting()
        if not self.config.workers:
            return
        with self._workers_lock:
            self._workers.keep()

    def close(self) -> None:
        """Store what was counted, end what was started, close the database. For tests, and for an orderly end."""
        self._ended.set()
        if self._upkeep is not None and self._upkeep[0] == os.getpid():
            self._upkeep[1].join()
        self._workers.stop()
        self.totals.flush()
        self.services.storage.close()

    def _keep_counting(self) -> None:
        with self._workers_lock:
            if self._upkeep is None or self._upkeep[0] != os.getpid():
                thread = threading.Thread(
                    target=self.totals.run, args=(self._ended,), name="prelisten-counts", daemon=True
                )
                self._upkeep = os.getpid(), thread
                thread.start()


__all__ = ["Prelisten", "Screening"]
