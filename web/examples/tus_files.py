"""The receiving end of tus 1.0 (https://tus.io/protocols/resumable-upload), as small as Flask lets it be.

Creation, `HEAD` and `PATCH`: enough for a client to resume. What arrived whole is handed to Prelisten, with the token
that its metadata carries.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from flask import Blueprint, Response, abort, request, url_for

from prelisten import Prelisten
from prelisten.errors import PrelistenError

VERSION = "1.0.0"
BLOCK_BYTES = 1 << 20
MAX_METADATA_CHARACTERS = 8192


def make_tus(prelisten: Prelisten, folder: Path, *, action: str) -> Blueprint:
    """Return the blueprint of the upload server; parts of uploads lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tus = Blueprint("tus", __name__, url_prefix="/files")

    @tus.after_request
    def name_version(response: Response) -> Response:
        response.headers["Tus-Resumable"] = VERSION
        response.headers["Cache-Control"] = "no-store"
        return response

    @tus.post("")
    def create() -> Response:
        """Begin an upload of a stated length."""
        length = request.headers.get("Upload-Length", type=int)
        if length is None or length <= 0:
            abort(400, "Upload-Length is missing, or the recording is empty.")
        if length > prelisten.config.max_upload_bytes:
            abort(413)
        name = secrets.token_hex(16)
        told = {"length": length, "metadata": metadata_of(request.headers.get("Upload-Metadata", ""))}
        (folder / f"{name}.json").write_text(json.dumps(told))
        (folder / name).touch()
        return Response(status=201, headers={"Location": url_for("tus.append", name=name)})

    @tus.route("/<name>", methods=["HEAD"])
    def state(name: str) -> Response:
        """Say how much has arrived; what arrived whole and could not be handed on then is handed on now."""
        told, size = told_of(folder, name), size_of(folder / name)
        if size == told["length"]:
            with held(folder / name):
                hand_on(name, told)
        return Response(headers=offsets(told["length"], size))

    @tus.patch("/<name>")
    def append(name: str) -> Response:
        """Take the bytes from where the last ones ended; with the last of them the recording is handed on."""
        told = told_of(folder, name)
        if request.mimetype != "application/offset+octet-stream":
            abort(415)
        with held(folder / name) as part:
            size = part.seek(0, os.SEEK_END)
            if request.headers.get("Upload-Offset", type=int) != size:
                abort(409)
            while (room := told["length"] - size) > 0 and (
                block := request.stream.read(min(room, BLOCK_BYTES))
            ):
                size += part.write(block)
            part.flush()
            if size == told["length"]:
                hand_on(name, told)
        return Response(status=204, headers=offsets(told["length"], size))

    def hand_on(name: str, told: dict) -> None:
        """Have the recording screened. Where that fails it stays, and the client, which is told so, asks again."""
        metadata = told["metadata"]
        try:
            prelisten.screen_file(
                folder / name,
                action=action,
                token=metadata.get("voice-hint"),
                origin=request.headers.get("Origin"),
                file_name=metadata.get("filename", ""),
                media_type=metadata.get("filetype", ""),
            )
        except PrelistenError as error:
            abort(Response(str(error), error.http_status))
        (folder / f"{name}.json").unlink()

    return tus


@contextmanager
def held(path: Path) -> Iterator[BinaryIO]:
    """Open the part of an upload for one request at a time: 423 while another has it, 404 once it is handed on."""
    try:
        part = path.open("r+b")
    except FileNotFoundError:
        abort(404)
    with part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            abort(423)
        if os.fstat(part.fileno()).st_nlink == 0:
            abort(404)
        yield part


def size_of(path: Path) -> int:
    """Return how many bytes have arrived; 404 once they are handed on."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        abort(404)


def told_of(folder: Path, name: str) -> dict:
    """Return what was said when the upload began; 404 for one that never did, or is over."""
    path = folder / f"{name}.json"
    if not (name.isalnum() and path.is_file()):
        abort(404)
    return json.loads(path.read_text())


def offsets(length: int, offset: int) -> dict[str, str]:
    """Return the two headers that say where an upload is."""
    return {"Upload-Length": str(length), "Upload-Offset": str(offset)}


def metadata_of(header: str) -> dict[str, str]:
    """Return `Upload-Metadata` as texts by their keys; pairs that cannot be read are left out."""
    found = {}
    for pair in header[:MAX_METADATA_CHARACTERS].split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found
