"""The main path on the server, top to bottom: receive an upload, screen it, decide, remember.

Nothing here parses HTTP or touches audio. Every step that must hold together is one transaction.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prelisten import outbox
from prelisten.checks import CHECKS, Heard, hear
from prelisten.checks.claim import MISMATCH
from prelisten.checks.claim import NAME as CLAIM
from prelisten.checks.heard import not_heard
from prelisten.config import Config
from prelisten.engine.interface import Engine, Lease, LeaseLost
from prelisten.errors import MediaError, NotFoundError, StorageError
from prelisten.hints import verify
from prelisten.hints.seal import session_digest
from prelisten.hints.verify import hint_check as hint_check_of
from prelisten.keys import Keys
from prelisten.media.listen import Recording, listen
from prelisten.policy import Policy, decide
from prelisten.records import (
    Action,
    Decision,
    Finding,
    HintCheck,
    Recomputed,
    ReviewCase,
    Submission,
    SubmissionState,
    TokenState,
    Upload,
)
from prelisten.storage.blobs import Blobs, DamagedBlobError, flush_to_disk
from prelisten.storage.interface import Storage, TokenSpent, Transaction

DECIDED_EVENT = "submission.decided"
POLL_FIRST_S, POLL_LONGEST_S = 0.02, 0.2


@dataclass(frozen=True, slots=True)
class Services:
    """What the main path works with; `app.wire` makes it. `detectors` holds the accepted (id, sha256)."""

    config: Config
    storage: Storage
    blobs: Blobs
    engine: Engine
    policy: Policy
    keys: Keys
    detectors: frozenset[tuple[str, str]]


def receive(upload: Upload, services: Services) -> tuple[Submission, bool]:
    """Store an upload that lies in quarantine, and queue its screening.

    1. See what the hint's token is worth. A bad one never refuses the upload.
    2. In one transaction: find what the same sending was stored as; else spend the token, store the submission,
       queue its job and move the file to the blobs.

    Returns the submission, and whether it was stored before (a double click, a retry). The quarantined file is
    gone afterwards, whatever happens. Raises `StorageError`; then nothing was stored and nothing was spent.
    """
    path = Path(upload.path)
    try:
        submission = _submission(upload, services)  # 1
        _flush(path)
        try:
            with services.storage.transaction() as tx:  # 2
                tx.lock_blob(upload.sha256)
                stored = _stored_before(tx, submission) or _store(tx, submission, upload.session, services)
                if stored.id == submission.id:
                    services.blobs.put_file(path, upload.sha256)
        except StorageError:
            _remove_orphan(upload.sha256, services)
            raise
        return stored, stored.id != submission.id
    finally:
        with suppress(OSError):  # A file that cannot be removed must not hide how receiving went.
            path.unlink(missing_ok=True)


def screen_submission(submission_id: str, services: Services, *, lease: Lease) -> None:
    """Screen one submission and decide; the handler of a screening process.

    1. Decode the file and run every check on it; a recording that has had its attempts is not touched again, and
       one that has vanished from the disk is a finding, not a reason to try for ever.
    2. Decide by the policy.
    3. In one transaction, and only while the lease holds: findings, evidence, the word about the claim, the
       decision, the event that tells of it and, when a person is to look, the case.

    Raises `LeaseLost` or `Cancelled` when somebody else is to do it, `StorageError` when it must be tried later.
    """
    submission = _begin(submission_id, services, lease)
    heard = None if lease.is_exhausted else _listen(submission, services, lease)  # 1
    findings = tuple(check(heard) for check in CHECKS) if heard else ()
    hint_check = _with_recomputation(submission.hint_check, findings)
    decision = decide(  # 2
        findings,
        policy=services.policy,
        action=submission.action,
        hint_check=hint_check,
        at=datetime.now(UTC),
    )
    with services.storage.transaction() as tx:  # 3
        services.engine.finish(tx, lease)
        tx.add_findings(submission_id, findings)
        if heard:
            tx.set_evidence(submission_id, heard.evidence)
            _keep_scored(tx, heard, services)
        tx.set_hint_check(submission_id, hint_check)
        tx.set_decision(submission_id, decision)
        tx.set_state(submission_id, SubmissionState.DECIDED)
        if decision.action is Action.REVIEW:
            tx.open_case(ReviewCase(secrets.token_hex(16), submission_id, opened_at=decision.decided_at))
        outbox.put(tx, DECIDED_EVENT, submission_id, _told(submission, decision))


def wait_for_decision(submission_id: str, services: Services, timeout_s: float) -> Decision | None:
    """Return the last decision as soon as there is one, or `None` after `timeout_s` seconds."""
    end, pause_s = time.monotonic() + timeout_s, POLL_FIRST_S
    while True:
        with services.storage.read() as tx:
            decision = tx.decision(submission_id)
        left_s = end - time.monotonic()
        if decision is not None or left_s <= 0:
            return decision
        time.sleep(min(pause_s, left_s))
        pause_s = min(2 * pause_s, POLL_LONGEST_S)


def _submission(upload: Upload, services: Services) -> Submission:
    now = datetime.now(UTC)
    hint_check = verify(
        upload.token,
        sha256=upload.sha256,
        action=upload.action,
        session=upload.session,
        origin=upload.origin,
        keys=services.keys,
        detectors=services.detectors,
        now=int(now.timestamp()),
    )
    return Submission(
        id=secrets.token_hex(16),
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        file_name=upload.file_name,
        media_type=upload.media_type,
        action=upload.action,
        idempotency_key=_own_key(upload, services.keys),
        declared=upload.declared,
        state=SubmissionState.QUEUED,
        received_at=now,
        hint_check=hint_check,
        sid=session_digest(upload.session, services.keys),
    )


def _own_key(upload: Upload, keys: Keys) -> str | None:
    """Return the sender's key as this session's own: one sender's key never finds another's submission."""
    if upload.idempotency_key is None:
        return None
    sid = session_digest(upload.session, keys) or ""
    return keys.digest("idempotency", f"{sid}:{upload.idempotency_key}")


def _flush(path: Path) -> None:
    """Flush before the transaction: a large file takes seconds, and nobody else could write meanwhile."""
    try:
        flush_to_disk(path)
    except OSError as error:
        raise StorageError(
            f"The upload could not be written to the disk ({error}). Send it again."
        ) from error


def _stored_before(tx: Transaction, submission: Submission) -> Submission | None:
    """Return what the same file was stored as under the same key and action."""
    key = submission.idempotency_key
    return None if key is None else tx.submission_by_key(key, submission.sha256, submission.action)


def _store(tx: Transaction, submission: Submission, session: str | None, services: Services) -> Submission:
    """Spend the token, store the submission and queue its job; return the stored one for a repeated sending."""
    check = submission.hint_check
    if check.token is TokenState.OK and check.cid is not None and check.expires_at is not None:
        try:
            spent_for = tx.spend_token(
                check.cid,
                sha256=submission.sha256,
                idempotency_key=submission.idempotency_key,
                sid=session_digest(session, services.keys),
                submission_id=submission.id,
                expires_at=check.expires_at,
            )
        except TokenSpent:
            submission = replace(submission, hint_check=hint_check_of(TokenState.DUPLICATE))
        else:
            stored = tx.submission(spent_for) if spent_for else None
            if stored is not None:
                return stored
    tx.add_submission(submission)
    services.engine.enqueue(tx, submission.id)
    return submission


def _remove_orphan(sha256: str, services: Services) -> None:
    """Remove a blob whose transaction failed, unless an earlier upload of the same bytes needs it.

    The lock keeps others from storing the same bytes meanwhile. Where even that fails, the blob stays, and the
    next sweep finds it: unused bytes are a smaller harm than lost ones.
    """
    try:
        with services.storage.transaction() as tx:
            tx.lock_blob(sha256)
            if not tx.is_stored(sha256):
                services.blobs.remove(sha256)
    except StorageError:
        return


def _begin(submission_id: str, services: Services, lease: Lease) -> Submission:
    """Mark the submission as being screened. Raises `LeaseLost` when there is nothing to screen (any more)."""
    with services.storage.transaction() as tx:
        submission = tx.submission(submission_id)
        is_there = submission is not None and submission.state is not SubmissionState.ERASED
        if is_there:
            tx.set_state(submission_id, SubmissionState.SCREENING)
        else:  # Erased since it was claimed, or a job of nothing: it ends here, or it would come back for ever.
            services.engine.remove(tx, lease.submission_id)
    if submission is None or not is_there:
        raise LeaseLost(f"There is no submission {submission_id} (any more), so there is nothing to screen.")
    return submission


def _listen(submission: Submission, services: Services, lease: Lease) -> Heard:
    """Decode and listen; a recording that cannot be heard is a result too."""
    path = services.blobs.path(submission.sha256)
    try:
        _require_intact(submission.sha256, services)
        with listen(path, services.config, cancelled=lease.cancelled) as recording:
            lease.progress.enter("listening", _heard_share(recording, services.config))
            return hear(
                recording,
                services.blobs,
                max_seconds=services.config.max_seconds,
                claim=_verified_claim(submission.hint_check),
            )
    except MediaError as error:
        return not_heard(error)
    finally:
        lease.progress.enter("checking")


def _require_intact(sha256: str, services: Services) -> None:
    """See that the recording is what was received: waiting would not bring it back, so its loss is a finding.

    Raises `MediaError` for a recording that is gone or damaged, `StorageError` when the whole folder is away.
    """
    try:
        services.blobs.check(sha256)
    except NotFoundError as error:
        raise MediaError(str(error), code="recording_missing") from error
    except DamagedBlobError as error:
        raise MediaError(str(error), code="recording_damaged") from error


def _heard_share(recording: Recording, config: Config) -> Callable[[], float | None]:
    """Return what tells how much of the recording has been heard; `None` while its length is not known."""

    def share() -> float | None:
        total_s = recording.total_s
        if not total_s:
            return None
        return recording.n_samples / (recording.sample_rate * min(total_s, config.max_seconds))

    return share


def _keep_scored(tx: Transaction, heard: Heard, services: Services) -> None:
    """See that what was scored is still there: an erasure of the same bytes may have taken it away meanwhile.

    Raises `StorageError`; the recording is then heard once more.
    """
    sha256 = heard.evidence.pcm_sha256
    if sha256 is None:
        return
    tx.lock_blob(sha256)
    if not services.blobs.exists(sha256):
        raise StorageError("What was scored is gone from the disk before it was stored; it is heard again.")


def _told(submission: Submission, decision: Decision) -> dict[str, Any]:
    """Return what other programs are told of a decision: ids, codes and times."""
    return {
        "action": submission.action,
        "decision": decision.action.value,
        "reasons": [reason.code for reason in decision.reasons],
        "policy_version": decision.policy_version,
        "evidence_sha256": decision.evidence_sha256,
        "received_at": submission.received_at.isoformat(),
        "decided_at": decision.decided_at.isoformat(),
    }


def _verified_claim(check: HintCheck) -> Mapping[str, Any] | None:
    return check.claim if check.token is TokenState.OK else None


def _with_recomputation(check: HintCheck, findings: tuple[Finding, ...]) -> HintCheck:
    """Add what the recomputation says about the claim; a mismatch orders machine work, and no more than that."""
    compared = next((finding for finding in findings if finding.check == CLAIM), None)
    if compared is None:
        return check
    recomputed = Recomputed(compared.details["recomputed"])
    if recomputed is not Recomputed.MISMATCH:
        return replace(check, recomputed=recomputed)
    return replace(check, recomputed=recomputed, floor=Action.HOLD, codes=(*check.codes, MISMATCH))
