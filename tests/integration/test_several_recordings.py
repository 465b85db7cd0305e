"""Several recordings in one field: a submission for each, with the token that is about it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage, MultiDict

from prelisten import Prelisten
from prelisten.config import load_config
from prelisten.extension import Screening
from prelisten.keys import ensure_keys
from tests.integration.test_routes import ORIGIN, seal_for
from tests.recordings import speech_like, wav_bytes

FIRST, SECOND, THIRD = (wav_bytes(speech_like(2.0, seed=seed)) for seed in (71, 72, 73))


@dataclass
class Several:
    """An application with one view for up to three recordings, and what that view was given."""

    app: Flask
    prelisten: Prelisten
    given: list[list[Screening]] = field(default_factory=list)

    @property
    def client(self) -> FlaskClient:
        """A browser without cookies."""
        return self.app.test_client()

    def send(self, recordings: list[bytes], hints: list[str] = (), **fields: str):
        """Send a form as a browser builds it."""
        files = [FileStorage(io.BytesIO(one), filename=f"{at}.wav") for at, one in enumerate(recordings)]
        pairs = [("voice", file) for file in files] + [("voice-hint", hint) for hint in hints]
        return self.client.post("/", data=MultiDict([*pairs, *fields.items()]), headers=ORIGIN)

    def words(self) -> list[tuple[str, str]]:
        """Return each file's name and the word about its token, of the last form."""
        return [(one.submission.file_name, str(one.hint.token)) for one in self.given[-1]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Several]:
    """One application for the module; nothing screens, so every decision is `hold`."""
    config = load_config(
        {},
        data=tmp_path_factory.mktemp("several"),
        workers=0,
        wait_s=0,
        rate_limit="100000/minute",
        upload_rate_limit="100000/minute",
    )
    ensure_keys(config)
    app = Flask(__name__)
    made = Several(app, Prelisten(app, config))

    @app.post("/")
    @made.prelisten.screened_all("voice", action="voice-upload", at_most=3)
    def take(screenings: list[Screening]) -> str:
        made.given.append(screenings)
        return "taken"

    yield made
    made.prelisten.close()


@pytest.fixture
def several(shared: Several) -> Several:
    """The application, with nothing given to its view yet."""
    shared.given.clear()
    return shared


def stored_count(several: Several) -> int:
    """Return how many files the application keeps."""
    return sum(path.is_file() for path in Path(several.prelisten.config.data, "blobs").rglob("*"))


def test_each_recording_has_its_submission_and_its_token(several: Several) -> None:
    """In the form's order; the empty entry is the second one's."""
    tokens = [seal_for(several.client, FIRST), "", seal_for(several.client, THIRD)]
    assert several.send([FIRST, SECOND, THIRD], tokens).status_code == 200
    assert several.words() == [("0.wav", "ok"), ("1.wav", "absent"), ("2.wav", "ok")]
    assert len({one.submission.id for one in several.given[-1]}) == 3
    assert {str(one.decision) for one in several.given[-1]} == {"hold"}


def test_swapped_tokens_are_worth_nothing(several: Several) -> None:
    """A token is about its file, whatever the place."""
    several.send([FIRST, SECOND], [seal_for(several.client, SECOND), seal_for(several.client, FIRST)])
    assert several.words() == [("0.wav", "wrong_file"), ("1.wav", "wrong_file")]


def test_fewer_tokens_than_recordings_find_theirs(several: Several) -> None:
    """Two elements of one name, the first without a token: the second's is still its own."""
    several.send([FIRST, SECOND], [seal_for(several.client, SECOND)])
    assert several.words() == [("0.wav", "absent"), ("1.wav", "ok")]


def test_more_tokens_than_recordings(several: Several) -> None:
    """Nonsense among them takes nobody's place, and one token serves one recording."""
    token = seal_for(several.client, FIRST)
    several.send([FIRST, FIRST], ["nonsense", token, seal_for(several.client, SECOND)])
    assert several.words() == [("0.wav", "ok"), ("1.wav", "absent")]


def test_one_token_twice_serves_once(several: Several) -> None:
    """The same bytes twice under the same token: the second is the repeated sending of the first."""
    token = seal_for(several.client, FIRST)
    several.send([FIRST, FIRST], [token, token])
    first, second = several.given[-1]
    assert (first.submission.id, second.is_repeated) == (second.submission.id, True)


def test_same_form_again_finds_all(several: Several) -> None:
    """A double click: the same submissions, in the same order."""
    for _ in range(2):
        several.send([SECOND, THIRD], idempotency_key="double-click")
    first, again = ([one.submission.id for one in given] for given in several.given)
    assert first == again
    assert all(one.is_repeated for one in several.given[1])


def test_one_recording_is_a_list_of_one(several: Several) -> None:
    """The view needs no second way."""
    several.send([FIRST], [seal_for(several.client, FIRST)])
    assert several.words() == [("0.wav", "ok")]


@pytest.mark.parametrize(
    ("recordings", "status", "words"),
    [
        ([FIRST, SECOND, THIRD, FIRST], 400, "at most 3"),
        ([wav_bytes(speech_like(2.0, seed=74)), b""], 400, "One of the recordings is empty"),
        ([], 400, "No recording came"),
    ],
    ids=["too many", "an empty one", "none"],
)
def test_form_is_refused_as_a_whole(several: Several, recordings, status, words) -> None:
    """A sentence that says what to do; nothing of the form is kept."""
    before = stored_count(several)
    answer = several.send(recordings)
    assert (answer.status_code, several.given) == (status, [])
    assert words in answer.text
    assert stored_count(several) == before
    assert not list(Path(several.prelisten.config.data, "quarantine").iterdir())


@pytest.mark.parametrize(
    ("settings", "forms"),
    [
        ({"upload_rate_limit": "3/hour"}, [(2, 200), (2, 429)]),
        (
            {"upload_rate_limit": "3/hour"},
            [(4, 400), (2, 200)],
        ),  # It would never fit, and takes nothing away.
        ({"upload_rate_limit": "6/hour"}, [(3, 200), (4, 429), (2, 200)]),
        ({"max_queue": 4}, [(3, 200), (2, 503), (1, 200), (1, 503)]),
        ({"max_queue": 8, "busy_upload_rate_limit": "1/hour"}, [(5, 200), (2, 429)]),
    ],
    ids=["rate", "never", "at once", "queue", "busy"],
)
def test_each_recording_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings, forms) -> None:
    """Several in one form are no way around a limit: the form has room for all of them, or is refused."""
    monkeypatch.setattr("prelisten.routes.admission.DEPTH_KEPT_S", 0.0)
    config = load_config({}, data=tmp_path / "data", workers=0, wait_s=0, **settings)
    ensure_keys(config)
    app = Flask(__name__)
    several = Several(app, Prelisten(app, config))
    app.post("/")(
        several.prelisten.screened_all("voice", action="a")(lambda screenings: str(len(screenings)))
    )
    for at, (count, status) in enumerate(forms):
        recordings = [FIRST + bytes([at, each]) for each in range(count)]
        assert several.send(recordings).status_code == status, at
    several.prelisten.close()


def test_more_than_a_form_may_carry_is_a_mistake_at_the_start(shared: Several) -> None:
    """Said where the view is declared, not to the first sender."""
    with pytest.raises(ValueError, match="1 to 8"):
        shared.prelisten.screened_all("voice", action="a", at_most=9)
