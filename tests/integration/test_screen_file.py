"""A recording that an application's own upload server has put on the disk: screened like one of a form."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from prelisten import Prelisten
from prelisten.errors import EmptyUploadError, StorageError, UploadTooLargeError
from prelisten.records import Action, TokenState
from prelisten.routes.intake import QuarantineFile, quarantined
from prelisten.storage.blobs import remove_leftovers
from tests.integration.conftest import Site, make_site
from tests.integration.test_routes import ORIGIN, seal_for
from tests.recordings import speech_like, wav_bytes

EXAMPLES = Path(__file__).resolve().parents[2] / "web" / "examples"
sys.path.insert(0, str(EXAMPLES))
make_tus = importlib.import_module("tus_files").make_tus
VOICE = wav_bytes(speech_like(2.0, seed=17))
OTHER = wav_bytes(speech_like(2.0, seed=18))
ACTION = "voice-upload"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A recording that has arrived whole."""
    (tmp_path / "arrived").write_bytes(VOICE)
    return tmp_path / "arrived"


def screen(site: Site, path: Path, **told):
    """Hand a file on as a view would."""
    with site.app.test_request_context():
        return site.app.extensions["prelisten"].screen_file(path, action=ACTION, **told)


def test_file_is_taken_with_its_token(site: Site, path: Path) -> None:
    """The token is good for these bytes, the file has moved to the store, and nothing stays in quarantine."""
    taken = screen(site, path, token=seal_for(site.client(), VOICE), file_name="a.wav")
    assert (taken.hint.token, taken.decision) == (TokenState.OK, Action.HOLD)
    assert taken.submission.sha256 == hashlib.sha256(VOICE).hexdigest()
    assert not path.exists()
    assert not list((site.config.data / "quarantine").iterdir())
    with site.app.extensions["prelisten"].open_recording(taken.submission.id) as recording:
        assert recording.read() == VOICE


def test_no_token_or_another_files_token_refuses_nothing(site: Site, path: Path) -> None:
    """Both are screened fully."""
    told = seal_for(site.client(), OTHER)
    assert screen(site, path, token=told).hint.token is TokenState.WRONG_FILE
    path.write_bytes(OTHER)
    assert screen(site, path).hint.token is TokenState.ABSENT


def test_origin_and_session_bind_where_they_are_told(site: Site, path: Path) -> None:
    """A page of another site, and another session."""
    token = seal_for(site.client(), VOICE)
    assert screen(site, path, token=token, origin="https://b.example").hint.token is TokenState.WRONG_ORIGIN
    path.write_bytes(VOICE)
    assert screen(site, path, token=token, session="another").hint.token is TokenState.WRONG_SESSION


def test_what_cannot_be_taken_stays_where_it_is(tmp_path: Path, path: Path) -> None:
    """Too large, empty, not there: an error that says so, and the file untouched."""
    site = make_site(tmp_path / "data", max_upload_bytes=len(VOICE) - 1)
    with pytest.raises(UploadTooLargeError):
        screen(site, path)
    assert path.read_bytes() == VOICE
    path.write_bytes(b"")
    with pytest.raises(EmptyUploadError):
        screen(site, path)
    with pytest.raises(StorageError):
        screen(site, tmp_path / "none")
    site.close()


def fail(*_: object, **__: object) -> None:
    raise StorageError("the database is locked")


def test_recording_survives_a_failure_of_the_storage(site: Site, path: Path, monkeypatch) -> None:
    """Whatever is raised, and however late, the recording is still there to be handed on again."""
    token = seal_for(site.client(), VOICE)
    with monkeypatch.context() as broken:
        broken.setattr(site.services.blobs.__class__, "put_file", fail)
        with pytest.raises(StorageError):
            screen(site, path, token=token)
    assert path.read_bytes() == VOICE
    with monkeypatch.context() as broken:
        broken.setattr(site.app.extensions["prelisten"], "_screening", fail)
        with pytest.raises(StorageError):
            screen(site, path, token=token)
    assert path.read_bytes() == VOICE
    assert not list((site.config.data / "quarantine").iterdir())
    taken = screen(site, path, token=token)
    assert (taken.is_repeated, taken.hint.token) == (True, TokenState.OK)
    assert not path.exists()


def test_only_a_regular_file_is_taken(site: Site, path: Path, tmp_path: Path) -> None:
    """A link would hand on, or remove, a file of the application's own; a pipe would be waited for."""
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(path)
    os.mkfifo(pipe)
    for other in (link, pipe, tmp_path):
        with pytest.raises(StorageError):
            screen(site, other)
    assert link.is_symlink()
    assert path.read_bytes() == VOICE


def test_file_that_is_still_written_is_refused(site: Site, path: Path, monkeypatch) -> None:
    """A name in the store must never lie beside other bytes: those read first would not be those stored."""
    write = QuarantineFile.write

    def write_while_somebody_appends(copy: QuarantineFile, block: bytes) -> int:
        with path.open("ab") as file:
            file.write(b"more")
        return write(copy, block)

    with monkeypatch.context() as raced:
        raced.setattr(QuarantineFile, "write", write_while_somebody_appends)
        with pytest.raises(StorageError, match="still being written"):
            screen(site, path)
    assert not list((site.config.data / "quarantine").iterdir())
    whole = path.read_bytes()
    assert whole.startswith(VOICE + b"more")
    assert screen(site, path).submission.sha256 == hashlib.sha256(whole).hexdigest()


def test_writer_that_goes_on_changes_nothing_that_is_stored(site: Site, path: Path) -> None:
    """Bytes by their SHA-256, also where the uploader still holds the file open."""
    with path.open("r+b") as still_open:
        taken = screen(site, path)
        still_open.write(b"other bytes")
    site.services.blobs.check(taken.submission.sha256)


def test_old_file_is_no_leftover(site: Site, path: Path) -> None:
    """An upload that took hours: what sweeps quarantine must not take it while it is received."""
    os.utime(path, (0, 0))
    copy = quarantined(path, site.config)
    assert remove_leftovers(copy.path.parent, older_than_s=3600) == 0
    assert copy.path.read_bytes() == VOICE


@pytest.fixture
def tus(site: Site, tmp_path: Path) -> Iterator[FlaskClient]:
    """A client of the example's upload server, over the site's data."""
    app = Flask(__name__)
    prelisten = Prelisten(app, site.config)
    app.register_blueprint(make_tus(prelisten, tmp_path / "tus", action=ACTION))
    yield app.test_client()
    prelisten.close()


def patch(client: FlaskClient, location: str, content: bytes, offset: int):
    """Send a part."""
    told = {**ORIGIN, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
    return client.patch(location, data=content, headers=told)


def test_tus_part_is_given_to_one_request_at_a_time(tus: FlaskClient, tmp_path: Path) -> None:
    """A second sending of a part while the first still arrives is asked to wait, and adds no byte."""
    begun = tus.post("/files", headers={"Upload-Length": str(len(VOICE))})
    part = tmp_path / "tus" / begun.location.rpartition("/")[2]
    with part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert patch(tus, begun.location, VOICE, 0).status_code == 423
        assert part.stat().st_size == 0
    assert patch(tus, begun.location, VOICE + VOICE, 0).status_code == 204
    assert patch(tus, begun.location, VOICE, 0).status_code == 404


def test_tus_recording_that_could_not_be_handed_on_is_handed_on_later(
    tus: FlaskClient, site: Site, tmp_path: Path, monkeypatch
) -> None:
    """The client hears that it failed, and asks again: no recording that arrived whole is forgotten."""
    begun = tus.post("/files", headers={"Upload-Length": str(len(VOICE))})
    with monkeypatch.context() as broken:
        broken.setattr(site.services.blobs.__class__, "put_file", fail)
        assert patch(tus, begun.location, VOICE, 0).status_code == StorageError.http_status
        assert tus.head(begun.location).status_code == StorageError.http_status
    assert tus.head(begun.location).headers["Upload-Offset"] == str(len(VOICE))
    with site.services.storage.read() as tx:
        assert tx.is_stored(hashlib.sha256(VOICE).hexdigest())
    assert not list((tmp_path / "tus").iterdir())


def test_tus_upload_of_nothing_is_refused(tus: FlaskClient) -> None:
    """No part of it would ever come."""
    assert tus.post("/files", headers={"Upload-Length": "0"}).status_code == 400


def test_tus_upload_in_two_parts(tus: FlaskClient, site: Site, tmp_path: Path) -> None:
    """The example's upload server: begun, interrupted, asked where it is, resumed; then its token is looked at."""
    client, token = tus, seal_for(site.client(), VOICE)
    metadata = f"voice-hint {base64.b64encode(token.encode()).decode()},filename YS53YXY=,broken ?"
    begun = client.post("/files", headers={"Upload-Length": str(len(VOICE)), "Upload-Metadata": metadata})
    half = len(VOICE) // 2
    for start, end in ((0, half), (half, len(VOICE))):
        state = client.head(begun.location)
        assert state.headers["Upload-Offset"] == str(start)
        assert patch(client, begun.location, b"", 7).status_code == 409
        part = patch(client, begun.location, VOICE[start:end], start)
        assert (part.status_code, part.headers["Upload-Offset"]) == (204, str(end))
    assert client.head(begun.location).status_code == 404
    sha256 = hashlib.sha256(VOICE).hexdigest()
    with site.services.storage.read() as tx:
        assert tx.is_stored(sha256)
    assert not list((tmp_path / "tus").iterdir())
    repeated = screen(site, written(tmp_path / "again", VOICE), token=token)
    assert repeated.is_repeated  # The same token about the same bytes: the stored answer.
    assert repeated.hint.token is TokenState.OK
    assert repeated.submission.file_name == "a.wav"


def written(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path
