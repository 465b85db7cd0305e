"""Receive an upload: every file of a form goes to quarantine on disk, hashed while it streams in."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from flask import Request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from prelisten.config import Config
from prelisten.errors import (
    BadRequestError,
    EmptyUploadError,
    SlowUploadError,
    StorageError,
    UploadTooLargeError,
)
from prelisten.records import Context, Upload
from prelisten.routes.client import leave_unread

BLOCK_BYTES = 1 << 20
MAX_FIELD_CHARACTERS = 200
# So long a person who sent too much may take to hear of it, where the server cannot do that by itself.
MAX_DRAIN_S = 60.0
KEY_MARK = "\x1f"
"""Around the API key's id in a back end's idempotency keys; taken out of all texts, so that none can be forged."""
# Every file of a form is an open file here; a form that needs more than these is none of ours.
MAX_FILES = 8
MAX_FORM_PARTS = 60
_ACTION = re.compile(r"[A-Za-z0-9_-]{1,32}")


class QuarantineFile:
    """A file object for Werkzeug's `stream_factory`: writes to disk and hashes, so that no byte is read twice."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / secrets.token_hex(16)
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = self.path.open("x+b")
        except OSError as error:
            raise StorageError(
                f"The upload cannot be written ({error}) and was not kept; try later."
            ) from error

    def write(self, block: bytes) -> int:
        """Append a block; raises `StorageError` when the disk does not take it."""
        try:
            written = self._file.write(block)
        except OSError as error:
            raise StorageError(
                f"The upload could not be written ({error}) and was not kept; try later."
            ) from error
        self._sha256.update(block)
        self.size_bytes += written
        return written

    def hexdigest(self) -> str:
        """Return the SHA-256 of all that was written."""
        return self._sha256.hexdigest()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def flush(self) -> None:
        """Hand everything to the system; raises `StorageError` when the disk does not take it."""
        try:
            self._file.flush()
        except OSError as error:
            raise StorageError(
                f"The upload could not be written ({error}) and was not kept; try later."
            ) from error

    def discard(self) -> None:
        """Close and remove the file, if it is still in quarantine, also on a disk that takes nothing more."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class FormFields:
    """The names of a form's fields: the file's, and those that the widget adds to it."""

    file: str

    @property
    def token(self) -> str:
        """Name of the entry that carries the sealed hint."""
        return f"{self.file}-hint"

    @property
    def declared(self) -> str:
        """Name of the box "This recording contains computer-generated speech"."""
        return f"{self.file}-declared"


class Intake:
    """One request's upload. Use as a context manager: whatever is not handed on leaves quarantine at its end."""

    def __init__(self, request: Request, config: Config) -> None:
        self._request = request
        self._config = config
        self._folder = config.data / "quarantine"
        self._received: list[QuarantineFile] = []

    def __enter__(self) -> Intake:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._received:
            file.discard()

    def _new_file(self, *_: object, **__: object) -> IO[bytes]:
        if len(self._received) >= MAX_FILES:
            raise BadRequestError(f"The form carries more than {MAX_FILES} files; send fewer at a time.")
        file = QuarantineFile(self._folder)
        self._received.append(file)
        return file  # type: ignore[return-value]  # Werkzeug asks for a file object; this delegates to one.

    def upload(self, fields: FormFields, *, action: str, origin: str, session: str | None = None) -> Upload:
        """Parse the form and return its upload.

        Raises `UploadTooLargeError`, `EmptyUploadError` (no file, or an empty one), `BadRequestError` (several
        files, or a body that is no form), `SlowUploadError` and `StorageError` (the disk did not take it).
        """
        [upload] = self.uploads(fields, action=action, origin=origin, session=session, at_most=1)
        return replace(upload, token=self._request.form.get(fields.token) or None)

    def uploads(
        self, fields: FormFields, *, action: str, origin: str, session: str | None = None, at_most: int
    ) -> list[Upload]:
        """Parse the form and return an upload, still without its token, for each file of the field, in their order.

        Raises what `upload` raises; `BadRequestError` also for more than `at_most` files. One that is empty refuses
        them all.
        """
        self._parse()
        chosen = [file for file in self._request.files.getlist(fields.file) if file.filename]
        if not chosen:
            raise EmptyUploadError("No recording came with the form. Choose a file, then send again.")
        if len(chosen) > at_most:
            raise BadRequestError(
                "The form carries several recordings in one field; send one at a time."
                if at_most == 1
                else f"The form carries {len(chosen)} recordings in one field; send at most {at_most} at a time."
            )
        stored = [self._stored(file) for file in chosen]
        if not all(file.size_bytes for file in stored):
            which = "The recording" if len(stored) == 1 else "One of the recordings"
            raise EmptyUploadError(f"{which} is empty (0 bytes). Choose another file, then send again.")
        form = self._request.form
        return [
            Upload(
                path=str(quarantined_file.path),
                sha256=quarantined_file.hexdigest(),
                size_bytes=quarantined_file.size_bytes,
                file_name=_short(file.filename),
                media_type=_short(file.mimetype),
                action=action,
                token=None,
                session=session,
                origin=origin,
                idempotency_key=(form.get("idempotency_key") or "").replace(KEY_MARK, "") or None,
                declared=bool(form.get(fields.declared)),
            )
            for file, quarantined_file in zip(chosen, stored, strict=True)
        ]

    def tokens(self, fields: FormFields) -> list[str]:
        """Return every token entry of the field, the empty ones too, in their order."""
        return self._request.form.getlist(fields.token)

    def from_back_end(self, upload: Upload, *, key_id: str) -> Upload:
        """Return the upload as a back end sent it, which may name the action, the context and the session.

        Its idempotency keys are its own: no other sender finds a submission by them. Raises `BadRequestError`.
        """
        form = self._request.form
        action = form.get("action") or upload.action
        if not _ACTION.fullmatch(action):
            raise BadRequestError("`action` is 1 to 32 of the letters A-Z, a-z, 0-9, `_` and `-`.")
        context = form.get("context") or upload.context
        if context not in list(Context):
            raise BadRequestError(f"`context` is one of {', '.join(Context)}.")
        key = upload.idempotency_key
        return replace(
            upload,
            action=action,
            context=Context(context),
            session=form.get("session") or upload.session,
            idempotency_key=None if key is None else f"{KEY_MARK}{key_id}{KEY_MARK}{key}",
        )

    def _parse(self) -> None:
        self._request.max_content_length = self._config.max_upload_bytes
        self._request.max_form_parts = MAX_FORM_PARTS
        self._request._get_file_stream = self._new_file  # type: ignore[method-assign]
        try:
            _ = self._request.files
        except RequestEntityTooLarge:
            leave_unread(self._request, within_s=MAX_DRAIN_S)
            if (self._request.content_length or 0) <= self._config.max_upload_bytes and not self._is_full():
                raise BadRequestError(
                    f"The form has more than {MAX_FORM_PARTS} parts, or too long a field."
                ) from None
            raise UploadTooLargeError(self._config.max_upload_bytes) from None
        except TimeoutError as error:
            leave_unread(self._request)
            raise SlowUploadError from error
        except (HTTPException, OSError) as error:
            raise BadRequestError("The request's body ended early, or is no readable form.") from error
        for file in self._received:
            file.flush()

    def _is_full(self) -> bool:
        """Tell whether a body of unstated length ran into the limit."""
        return sum(file.size_bytes for file in self._received) + BLOCK_BYTES > self._config.max_upload_bytes

    def _stored(self, file: FileStorage) -> QuarantineFile:
        """Return the quarantined file behind a form file, copying it when somebody parsed the form before us."""
        if isinstance(file.stream, QuarantineFile):
            return file.stream
        copy = QuarantineFile(self._folder)
        self._received.append(copy)
        file.stream.seek(0)
        while block := file.stream.read(BLOCK_BYTES):
            copy.write(block)
        copy.flush()
        return copy


def quarantined(path: Path, config: Config) -> QuarantineFile:
    """Copy a recording that lies on this machine to quarantine: what is hashed is what is stored, whoever writes on.

    Raises `EmptyUploadError`, `UploadTooLargeError`, and `StorageError`, also for what is no regular file (a link
    would hand on a file of the application's) or is still being written. The file itself is not touched.
    """
    try:
        # Opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            begun = os.fstat(descriptor)
            if not stat.S_ISREG(begun.st_mode):
                raise StorageError(f"{path} is no regular file, and was not taken.")
            if begun.st_size == 0:
                raise EmptyUploadError(
                    "The recording is empty (0 bytes). Choose another file, then send again."
                )
            if begun.st_size > config.max_upload_bytes:
                raise UploadTooLargeError(config.max_upload_bytes)
            copy = QuarantineFile(config.data / "quarantine")
            try:
                while copy.size_bytes <= begun.st_size and (block := file.read(BLOCK_BYTES)):
                    copy.write(block)
                copy.close()
                ended = os.fstat(descriptor)
                if (copy.size_bytes, ended.st_mtime_ns) != (begun.st_size, begun.st_mtime_ns):
                    raise StorageError(f"{path} is still being written, and was not taken; try later.")
            except BaseException:
                copy.discard()
                raise
            return copy
    except OSError as error:
        raise StorageError(f"The upload cannot be copied ({error}) and was not taken; try later.") from error


def _short(text: str | None) -> str:
    return (text or "")[:MAX_FIELD_CHARACTERS]
