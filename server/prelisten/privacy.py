"""What is stored about one submission: hand it out, or erase it.

Erasing leaves a tombstone (the id, the action and the times) and an entry in the audit log, which holds ids and
keyed digests only, so that its chain still verifies. No voiceprint is stored, so there is none to erase.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prelisten import audit, outbox
from prelisten.errors import GoneError, NotFoundError, StorageError
from prelisten.hints.seal import session_digest
from prelisten.pipeline import Services
from prelisten.records import SubmissionState

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
ERASED_EVENT = "submission.erased"


def erase(submission_id: str, services: Services, *, because: str = "request", is_last: bool = True) -> bool:
    """Erase everything that is stored about a submission; return `False` when that was done before.

    1. In one transaction: its job, findings, decision, case with its notes, events, the token's details; the row
       becomes a tombstone; the audit log and other programs are told.
    2. Its recording and what was scored of it leave the disk, unless another submission is about the same bytes.

    A crash between the two leaves bytes that nothing names, and the next sweep takes them. Who screens it just now
    finds the lease lost and stores nothing. Of several in a row the last one alone needs to empty the database's
    journal (`is_last`). Raises `NotFoundError`, `StorageError`.
    """
    at = datetime.now(UTC)
    with services.storage.transaction() as tx:  # 1
        submission = tx.submission(submission_id)
        if submission is None:
            raise NotFoundError(f"There is no submission {submission_id}.")
        if submission.state is SubmissionState.ERASED:
            return False
        services.engine.remove(tx, submission_id)
        blobs = tx.bury_submission(submission_id, at)
        outbox.put(tx, ERASED_EVENT, submission_id, {"erased_at": at.isoformat(), "because": because})
        audit.append(tx, audit.Kind.ERASURE, submission_id, {"because": because})
    remove_unneeded(blobs, services)  # 2
    if is_last:
        services.storage.scrub()
    return True


def remove_unneeded(sha256s: Iterable[str], services: Services) -> int:
    """Remove those blobs that no submission needs; return how many there were."""
    removed = 0
    for sha256 in sorted(set(sha256s)):
        with services.storage.transaction() as tx:
            tx.lock_blob(sha256)
            if not tx.is_stored(sha256) and services.blobs.exists(sha256):
                services.blobs.remove(sha256)
                removed += 1
    return removed


def submissions_of_session(session: str, services: Services) -> list[str]:
    """Return the ids of what was sent under a host page's session, oldest first; erased ones have forgotten it."""
    sid = session_digest(session, services.keys)
    if sid is None:
        return []
    with services.storage.read() as tx:
        return tx.submissions_of(sid)


def export(submission_ids: Sequence[str], services: Services, target: Path) -> None:
    """Write a zip file with everything that is stored about these submissions: JSON, recordings, scored samples.

    The file is readable by its owner alone, and is there only once it is whole. Raises `NotFoundError` for an
    unknown id, `GoneError` for an erased one, `StorageError` when the disk does not take it or a file is there.
    """
    if target.exists():
        raise StorageError(f"{target} is there already; name a file that is not.")
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            for submission_id in submission_ids:
                _add(archive, submission_id, services)
        os.replace(unfinished, target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written ({error}).") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _add(archive: zipfile.ZipFile, submission_id: str, services: Services) -> None:
    """Add one submission's folder to the archive."""
    with services.storage.read() as tx:
        submission = tx.submission(submission_id)
        if submission is None:
            raise NotFoundError(f"There is no submission {submission_id}.")
        if submission.state is SubmissionState.ERASED:
            raise GoneError(f"Everything about submission {submission_id} was erased.")
        stored = tx.everything_about(submission_id)
        evidence, job = tx.evidence(submission_id), services.engine.status(tx, submission_id)
        entries = [asdict(entry) for entry in audit.entries_about(tx, submission_id)]
    files = {f"recording{_suffix(submission.file_name)}": submission.sha256}
    if evidence is not None and evidence.pcm_sha256 is not None:
        files["scored.wav"] = evidence.pcm_sha256
    there = {name: sha256 for name, sha256 in files.items() if services.blobs.exists(sha256)}
    content = {
        "exported_at": datetime.now(UTC),
        "files": there,
        "stored": stored,
        "job": None if job is None else asdict(job),
        "audit": entries,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, default=_plain)
    archive.writestr(f"{submission_id}/submission.json", text + "\n", zipfile.ZIP_DEFLATED)
    for name, sha256 in there.items():
        archive.write(services.blobs.path(sha256), f"{submission_id}/{name}")


def _suffix(file_name: str) -> str:
    """Return the ending of the sender's file name when it is a plain one; the name itself never becomes a path."""
    ending = os.path.splitext(file_name)[1]
    return ending if _SUFFIX.fullmatch(ending) else ""


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
