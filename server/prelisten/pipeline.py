"""The main path on the server, top to bottom: receive an upload, screen it, decide, remember.

Nothing here parses HTTP or touches audio. Every step that must hold together is one transaction.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prelisten import audit, outbox
from prelisten.checks import (
    CHECKS,
    Heard,
    hear,
    hear_claimed,
    load_forensic_model,
    plan_of,
    read_claimed,
)
from prelisten.checks.additions import equipped, observer_of
from prelisten.checks.claim import MISMATCH
from prelisten.checks.claim import NAME as CLAIM
from prelisten.checks.claim import run as check_claim
from prelisten.checks.forensic import NAME as FORENSIC
from prelisten.checks.heard import not_heard
from prelisten.config import Config
from prelisten.decisions import (
    keep_decision,
    keep_shadow_decision,
    keep_shadow_score,
    make_decision,
    received_entry,
    storable,
)
from prelisten.engine.interface import Engine, Lease, LeaseLost
from prelisten.errors import MediaError, NotFoundError, StorageError
from prelisten.hints import verify
from prelisten.hints.seal import session_digest
from prelisten.hints.store import SingleUse, SqlSingleUse, is_verification
from prelisten.hints.verify import TEST, unable_check
from prelisten.hints.verify import hint_check as hint_check_of
from prelisten.keys import Keys
from prelisten.logs import logger
from prelisten.media.listen import Recording, listen
from prelisten.meter import Meter
from prelisten.policy import Policy
from prelisten.records import (
    Action,
    Context,
    Decision,
    Finding,
    FindingState,
    HintCheck,
    Recomputed,
    ReviewCase,
    Submission,
    SubmissionState,
    TokenState,
    Upload,
)
from prelisten.storage.blobs import Blobs, DamagedBlobError, flush_to_disk
from prelisten.storage.interface import Storage, TokenSpent, Transaction, is_same_sending
from prelisten.wheels import listed_wheels
from wasm_detector import VERSION
from wasm_detector.model import Model, load_model

log = logger(__name__)

DECIDED_EVENT = "submission.decided"
POLL_FIRST_S, POLL_LONGEST_S = 0.02, 0.2
# What is known of a recording that has had its attempts: the check began, and never ended.
NOT_SCREENED = Finding(FORENSIC, VERSION, FindingState.ERROR)


@dataclass(frozen=True, slots=True)
class Services:
    """What the main path works with; `app.wire` makes it. `detectors` holds the accepted (id, sha256).

    `own_detector` is the one whose claims can be compared with what is heard here; `None`: every one's.

    `single_use` remembers spent tokens; `None`: the database does, in the transaction that stores the upload.
    `shadow` is a policy that is being tried, `shadow_model` a model: what they say is stored, and nothing acts on it.
    """

    config: Config
    storage: Storage
    blobs: Blobs
    engine: Engine
    policy: Policy
    keys: Keys
    detectors: Collection[tuple[str, str]]
    shadow: Policy | None = None
    shadow_model: Model | None = None
    meter: Meter = field(default_factory=Meter)
    single_use: SingleUse | None = None
    own_detector: tuple[str, str] | None = None


def receive(upload: Upload, services: Services) -> tuple[Submission, bool]:
    """Store an upload that lies in quarantine, and queue its screening.

    1. See what the hint's token is worth. A bad one never refuses the upload. Where tokens are spent in a store of
       their own, reserve it there.
    2. In one transaction: find what the same sending was stored as; else spend the token, store the submission,
       queue its job, move the file to the blobs and write it down in the audit log.

    Returns the submission, and whether it was stored before (a double click, a retry). The quarantined file is
    gone afterwards, whatever happens. Raises `StorageError`; then nothing was stored and nothing was spent.
    """
    path = Path(upload.path)
    try:
        submission, reserved_for = _reserve(_submission(upload, services), services)  # 1
        _flush(path)
        try:
            with services.storage.transaction() as tx:  # 2
                tx.lock_blob(upload.sha256)
                stored = _stored_before(tx, submission)
                if stored is None:
                    submission, stored = _spend(tx, submission, reserved_for, services)
                is_repeated = stored is not None
                if stored is None:
                    stored = submission
                    tx.add_submission(stored)
                    services.engine.enqueue(tx, stored.id)
                    services.blobs.put_file(path, upload.sha256)
                    audit.append(tx, audit.Kind.RECEIVED, stored.id, received_entry(stored, services.keys))
        except StorageError:
            _remove_orphan(upload.sha256, services)
            raise
        _count_received(stored, is_repeated=is_repeated, meter=services.meter)
        return stored, is_repeated
    finally:
        with suppress(OSError):  # A file that cannot be removed must not hide how receiving went.
            path.unlink(missing_ok=True)


def screen_submission(submission_id: str, services: Services, *, lease: Lease) -> None:
    """Screen one submission and decide; the handler of a screening process.

    1. Decode the file and run every check on it; a recording that has had its attempts is not touched again, and
       one that has vanished from the disk is a finding, not a reason to try for ever.
    2. Decide by the policy, and by the one that is being tried.
    3. All in one transaction, and only while the lease holds: findings, evidence, the word about the claim, the
       decision, when a person is to look the case, the event that tells of it, the entry of the audit log.

    Raises `LeaseLost` or `Cancelled` when somebody else is to do it, `StorageError` when it must be tried later.
    """
    submission = _begin(submission_id, services, lease)
    heard = None if lease.is_exhausted else _listen(submission, services, lease)  # 1
    findings = (
        tuple(storable(_checked(check, heard, services)) for check in CHECKS) if heard else (NOT_SCREENED,)
    )
    hint_check = _with_recomputation(submission.hint_check, findings)
    with services.meter.timed("stage_seconds", stage="decide"), services.storage.transaction() as tx:
        services.engine.finish(tx, lease)
        decision = make_decision(tx, submission, findings, policy=services.policy, hint_check=hint_check)  # 2
        tx.add_findings(submission_id, findings)
        if heard:
            tx.set_evidence(submission_id, heard.evidence)
            _keep_scored(tx, heard, services)
            keep_shadow_score(tx, submission, heard.tried)
        tx.set_hint_check(submission_id, hint_check)
        tx.set_state(submission_id, SubmissionState.DECIDED)
        if decision.opens_case:
            tx.open_case(ReviewCase(secrets.token_hex(16), submission_id, opened_at=decision.decided_at))
        outbox.put(tx, DECIDED_EVENT, submission_id, _told(submission, decision))
        if services.shadow:
            keep_shadow_decision(tx, submission, findings, policy=services.shadow, at=decision.decided_at)
        keep_decision(tx, submission, decision, policy=services.policy, keys=services.keys)  # 3
    _count_decided(submission, decision, findings, hint_check, services.meter)


def recompute_claim(
    path: Path,
    claim: Mapping[str, Any],
    services: Services,
    *,
    cancelled: threading.Event | None = None,
    within_s: float | None = None,
) -> tuple[Recomputed, tuple[str, ...]]:
    """Hear the file at `path` as screening does, and compare a sealed `claim` with it; nothing is kept or spent.

    Returns the word and the names of the groups that differ. What cannot be heard, or not to its end (`within_s`
    seconds, and the decoder's own limits), gives `not_run` and no names.

    Raises `StorageError` when the file cannot be opened or no decoder be started, `Cancelled` when the event is set.
    """
    seed = _seed(str(claim["cid"]), str(claim["file"]["sha256"]), services)
    claimed = read_claimed(claim, max_seconds=services.config.max_seconds, seed=seed)
    is_again = bool(claimed.segments)
    plan = plan_of(claimed, max_seconds=services.config.max_seconds, seed=seed, is_besides_only=is_again)
    try:
        with listen(path, services.config, plan=plan, cancelled=cancelled, within_s=within_s) as recording:
            browsers = equipped(load_model(), listed_wheels(services.config.extensions))
            heard = hear_claimed(recording, claimed, browsers)
    except MediaError as error:
        heard = replace(not_heard(error), claimed=claimed)
    details = check_claim(heard).details
    return Recomputed(details["recomputed"]), tuple(details.get("differences", ()))


def _checked(check: Callable[[Heard], Finding], heard: Heard, services: Services) -> Finding:
    """Run a check, and count how it ended and how long it took."""
    with services.meter.timed("stage_seconds", stage=check.__module__.rpartition(".")[2]):
        finding = check(heard)
    services.meter.count("findings", check=finding.check, state=finding.state)
    return finding


def _count_received(stored: Submission, *, is_repeated: bool, meter: Meter) -> None:
    if is_repeated:
        meter.count("uploads_repeated")
        return
    meter.count("uploads", token=stored.hint_check.token)
    meter.count("upload_bytes", stored.size_bytes)
    log.info(
        "received",
        submission=stored.id,
        action=stored.action,
        bytes=stored.size_bytes,
        token=stored.hint_check.token.value,
    )


def _count_decided(
    submission: Submission,
    decision: Decision,
    findings: tuple[Finding, ...],
    hint_check: HintCheck,
    meter: Meter,
) -> None:
    """Count a decision that is stored, and write its line: ids, codes and seconds."""
    seconds = (decision.decided_at - submission.received_at).total_seconds()
    meter.count("decisions", action=decision.action)
    meter.count("recomputed", recomputed=hint_check.recomputed)
    meter.observe("decision_seconds", max(0.0, seconds))
    log.info(
        "screened",
        submission=submission.id,
        decision=decision.action.value,
        findings={finding.check: finding.state.value for finding in findings},
        reasons=[reason.code for reason in decision.reasons],
        recomputed=hint_check.recomputed.value,
        policy=decision.policy_version,
        seconds=round(seconds, 3),
    )


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
        with_tests=services.config.env != "production",
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
        context=upload.context,
    )


def _own_key(upload: Upload, keys: Keys) -> str | None:
    """Return the sender's key as this session's and context's own: it never finds what was decided for others."""
    if upload.idempotency_key is None:
        return None
    sid = session_digest(upload.session, keys) or ""
    where = "" if upload.context is Context.FEED else f"{upload.context}:"
    return keys.digest("idempotency", f"{where}{sid}:{upload.idempotency_key}")


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


def _reserve(submission: Submission, services: Services) -> tuple[Submission, str | None]:
    """Reserve the token in a store of its own; return the id that it was reserved for before, if it was.

    A store that cannot tell makes the token count as not there: the upload is taken, and screened fully.
    """
    check = submission.hint_check
    if services.single_use is None or not _is_spendable(check):
        return submission, None
    try:
        return submission, _consume(services.single_use, submission)
    except TokenSpent as error:
        if error.spent_for is not None:  # The same file: what is stored under that id has the last word.
            return submission, error.spent_for
        return _with_hint(submission, hint_check_of(TokenState.DUPLICATE)), None
    except StorageError as error:
        log.warning("cannot spend a token", problem=str(error))
        return _with_hint(submission, unable_check()), None


def _spend(
    tx: Transaction, submission: Submission, reserved_for: str | None, services: Services
) -> tuple[Submission, Submission | None]:
    """Spend the token; return the submission as it is to be stored, and the stored one for a repeated sending."""
    if not _is_spendable(submission.hint_check):
        return submission, None
    if services.single_use is None:
        try:
            spent_for = _consume(SqlSingleUse(tx), submission)
        except TokenSpent:
            return _with_hint(submission, hint_check_of(TokenState.DUPLICATE)), None
        if spent_for is None:
            return submission, None
    else:
        spent_for = reserved_for or submission.id
    stored = tx.submission(spent_for)
    if stored is None and services.single_use is not None and not is_verification(spent_for):
        # Reserved by us, or by a sending of which nothing was stored: then this one takes its place and its id. Of
        # several that do so at once, the lock on the bytes lets one in, and the others find it stored.
        return replace(submission, id=spent_for), None
    # What was decided for one context must not answer for another one; nor a verification for an upload.
    if stored is not None and stored.context is submission.context and _is_same_sending(stored, submission):
        return submission, stored
    own_id = secrets.token_hex(16) if submission.id == spent_for else submission.id
    return replace(submission, id=own_id, hint_check=hint_check_of(TokenState.DUPLICATE)), None


def _consume(store: SingleUse, submission: Submission) -> str | None:
    check = submission.hint_check
    return store.consume(
        str(check.cid),
        sha256=submission.sha256,
        idempotency_key=submission.idempotency_key,
        sid=submission.sid,
        submission_id=submission.id,
        expires_at=int(check.expires_at or 0),
    )


def _is_spendable(check: HintCheck) -> bool:
    return check.token is TokenState.OK and check.cid is not None and check.expires_at is not None


def _is_same_sending(stored: Submission, submission: Submission) -> bool:
    names = ("sha256", "idempotency_key", "sid")
    first, again = ({name: getattr(one, name) for name in names} for one in (stored, submission))
    return is_same_sending(first, again)


def _with_hint(submission: Submission, check: HintCheck) -> Submission:
    return replace(submission, hint_check=check)


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
    claim, max_seconds = verified_claim(submission.hint_check, services), services.config.max_seconds
    # A token that is not good can be sent again and again: its id must not bring the same windows again.
    cid = submission.hint_check.cid if submission.hint_check.token is TokenState.OK else None
    seed = _seed(cid or submission.id, submission.sha256, services)
    claimed = None if claim is None else read_claimed(claim, max_seconds=max_seconds, seed=seed)
    plan = plan_of(claimed, max_seconds=max_seconds, seed=seed)
    try:
        _require_intact(submission.sha256, services)
        start = time.monotonic()
        with listen(path, services.config, plan=plan, cancelled=lease.cancelled) as recording:
            started_s = time.monotonic() - start
            lease.progress.enter("listening", _heard_share(recording))
            try:
                wheels = listed_wheels(services.config.extensions)
                tried = services.shadow_model
                wanted = (load_model(), load_forensic_model(), *([tried] if tried else []))
                models = [equipped(one, wheels) for one in wanted]
                observer = observer_of(wheels, *models[:2])  # The tried one takes nothing from the others.
                return hear(
                    recording,
                    services.blobs,
                    model=models[0],
                    forensic=models[1],
                    tried=models[2] if len(models) > 2 else None,
                    claimed=claimed,
                    observer=observer,
                )
            finally:  # The decoder works beside us: what counts as its time is how long we waited for it.
                decode_s = started_s + recording.waited_s
                services.meter.observe("stage_seconds", decode_s, stage="decode")
                services.meter.observe("stage_seconds", time.monotonic() - start - decode_s, stage="listen")
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


def _seed(cid: str, sha256: str, services: Services) -> str:
    """Return what draws the windows of a long recording: nobody can tell beforehand, and each attempt draws the same.

    It is made of a secret that never leaves us, of the id of the token (or the submission), and of the file: who learns
    where one file was listened to knows nothing about the next.
    """
    return services.keys.digest("windows", f"{cid}:{sha256}")


def _heard_share(recording: Recording) -> Callable[[], float | None]:
    """Return what tells how much of the recording has been heard; `None` while its length is not known."""

    def share() -> float | None:
        total_s = recording.total_s
        if not total_s:
            return None
        wanted_s = sum(min(end, total_s) - start for start, end in recording.plan.wanted(total_s))
        return recording.n_samples / (recording.sample_rate * wanted_s)

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


def verified_claim(check: HintCheck, services: Services) -> Mapping[str, Any] | None:
    """Return the claim that listening again can be compared with, or `None`.

    It is a good token's, no fixed outcome of the test mode, and of the detector that runs here: one of an earlier
    bundle says other numbers, and is no liar.
    """
    claim, own = check.claim, services.own_detector
    if check.token is not TokenState.OK or claim is None or TEST in check.codes:
        return None
    is_own = own is None or (claim["det"]["id"], claim["det"]["sha256"]) == own
    return claim if is_own else None


def _with_recomputation(check: HintCheck, findings: tuple[Finding, ...]) -> HintCheck:
    """Add what the recomputation says about the claim; a mismatch orders machine work, and no more than that."""
    compared = next((finding for finding in findings if finding.check == CLAIM), None)
    if compared is None:
        return check
    recomputed = Recomputed(compared.details["recomputed"])
    if recomputed is not Recomputed.MISMATCH:
        return replace(check, recomputed=recomputed)
    return replace(check, recomputed=recomputed, floor=Action.HOLD, codes=(*check.codes, MISMATCH))
