"""A recording that an application's own upload server has put on the disk: screened like one of a form."""

from __future__ import annotations

import base64
import hashlib
import importlib
import sys
from pathlib import Path

import pytest
from flask import Flask

from prelisten import Prelisten
from prelisten.errors import EmptyUploadError, StorageError, UploadTooLargeError
from prelisten.records import Action, TokenState
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


def test_tus_upload_in_two_parts(site: Site, tmp_path: Path) -> None:
    """The example's upload server: begun, interrupted, asked where it is, resumed; then its token is looked at."""
    app = Flask(__name__)
    prelisten = Prelisten(app, site.config)
    app.register_blueprint(make_tus(prelisten, tmp_path / "tus", action=ACTION))
    client, token = app.test_client(), seal_for(site.client(), VOICE)
    metadata = f"voice-hint {base64.b64encode(token.encode()).decode()},filename YS53YXY=,broken ?"
    begun = client.post("/files", headers={"Upload-Length": str(len(VOICE)), "Upload-Metadata": metadata})
    half = len(VOICE) // 2
    told = {**ORIGIN, "Content-Type": "application/offset+octet-stream"}
    for start, end in ((0, half), (half, len(VOICE))):
        state = client.head(begun.location)
        assert state.headers["Upload-Offset"] == str(start)
        assert client.patch(begun.location, headers={**told, "Upload-Offset": "7"}).status_code == 409
        part = client.patch(
            begun.location, data=VOICE[start:end], headers={**told, "Upload-Offset": str(start)}
        )
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
    prelisten.close()


def written(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path
