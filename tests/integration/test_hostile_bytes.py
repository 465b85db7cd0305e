"""What strangers sent is handed to reviewers so that no browser runs, renders or mistakes it."""

from __future__ import annotations

import hashlib
import struct
import time
from io import BytesIO

import pytest

from tests.integration.test_main_path import reviewer
from tests.integration.test_routes import send
from tests.recordings import speech_like, wav_bytes

PAGE = b"<!doctype html><script>alert(document.cookie)</script><svg onload=alert(1)>"
NAMES = [
    "../../etc/passwd",
    "x.html",
    'a"; filename="b.html',
    "voice%0d%0aSet-Cookie: a=b.wav",
    "<img src=x onerror=alert(1)>.svg",
]


def polyglot(seed: int) -> bytes:
    """Return a recording that carries a web page, as a chunk that players skip, and behind its end."""
    plain = wav_bytes(speech_like(5.0, seed=seed))
    chunk = b"LIST" + struct.pack("<I", len(PAGE) + len(PAGE) % 2) + PAGE + b" " * (len(PAGE) % 2)
    body = plain[12:36] + chunk + plain[36:] + PAGE
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


@pytest.fixture(scope="module")
def case(strict_site):
    """A case about a recording that is a web page too: (client of a reviewer, case, what was sent)."""
    sent = polyglot(seed=81)
    location = send(strict_site.client(), sent, name="x.html").location
    submission_id = location.rsplit("/", 1)[1]
    for _ in range(200):
        with strict_site.services.storage.read() as tx:
            found = tx.case_for(submission_id)
        if found:
            break
        time.sleep(0.1)
    client, _ = reviewer(strict_site)
    return client, found, sent


def get(case, what: str, **headers: str):
    """Ask for a case's file as a signed-in reviewer."""
    client, found, _ = case
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(f"/review/cases/{found.id}/{what}", headers=named, buffered=True)


@pytest.mark.parametrize("what", ["audio.wav", "original"])
@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-99"}, {"Range": "bytes=999999999-"}])
def test_no_browser_runs_or_guesses(case, what, headers):
    """Whole, in part or refused: the type that is stated stands, and as a page it could do nothing."""
    answer = get(case, what, **headers)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    if answer.status_code in (200, 206):
        assert "sandbox" in policy
        assert answer.mimetype in ("audio/wav", "application/octet-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_original_is_a_download_under_a_name_of_ours(case):
    """The bytes as they were sent; the sender's name and type are nowhere."""
    answer = get(case, "original")
    assert answer.data == case[2]
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "html" not in answer.headers["Content-Disposition"]


def test_reviewers_hear_the_decoded_samples_and_nothing_else(case):
    """The page that rode along is in the original, and not in what is played."""
    answer = get(case, "audio.wav")
    assert PAGE in case[2]
    assert b"script" not in answer.data
    assert answer.data[:4] == b"RIFF"
    assert abs(len(answer.data) - (44 + 5 * 16_000 * 4)) < 200


@pytest.mark.parametrize("what", ["audio.wav", "original"])
@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=1000-", 1000, None),
        ("bytes=-50", -50, None),
        ("bytes=0-99999999", 0, None),
    ],
)
def test_a_range_is_exactly_that(case, what, asked, start, end):
    """Seeking gets the bytes of the place, and how many there are in all."""
    whole, part = get(case, what).data, get(case, what, Range=asked)
    assert part.status_code == 206
    assert part.data == whole[start:end]
    first = start if start >= 0 else len(whole) + start
    assert part.headers["Content-Range"] == f"bytes {first}-{first + len(part.data) - 1}/{len(whole)}"
    assert get(case, what).headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=99999999-999999999"])
def test_a_range_behind_the_end_says_where_the_end_is(case, asked):
    """416, with the length, as players expect it."""
    refused = get(case, "audio.wav", Range=asked)
    assert refused.status_code == 416
    assert refused.headers["Content-Range"] == f"bytes */{len(get(case, 'audio.wav').data)}"


@pytest.mark.parametrize(
    "asked", ["bytes=5-1", "bytes=a-b", "lines=1-2", "bytes=", "x", "bytes=0-1,3-4", "bytes=-0"]
)
def test_an_odd_range_breaks_nothing(case, asked):
    """Nonsense is the whole file, or a range that is refused; never a fault."""
    assert get(case, "audio.wav", Range=asked).status_code in (200, 206, 416)


def test_a_range_of_another_version_is_the_whole(case):
    """A player that resumes asks by the tag; the bytes of a tag never change."""
    whole = get(case, "audio.wav")
    same = get(case, "audio.wav", Range="bytes=0-9", If_Range=whole.headers["ETag"])
    other = get(case, "audio.wav", Range="bytes=0-9", If_Range='"other"')
    assert (same.status_code, other.status_code) == (206, 200)
    assert hashlib.sha256(whole.data).hexdigest() in whole.headers["ETag"]


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_only_text(strict_site, name):
    """In pages it is escaped, in headers it never stands."""
    location = send(strict_site.client(), wav_bytes(speech_like(4.0, seed=82)), name=name).location
    page = strict_site.client().get(location)
    assert "<img" not in page.text
    assert "Set-Cookie" not in page.headers


def test_a_removed_recording_is_said_to_be_removed(strict_site, case):
    """By its age it may be gone; the page says so, and the case stays."""
    client, found, sent = case
    path = strict_site.services.blobs.path(hashlib.sha256(sent).hexdigest())
    content = path.read_bytes()
    path.unlink()
    try:
        answer = client.get(f"/review/cases/{found.id}/original")
    finally:
        path.write_bytes(content)
    assert answer.status_code == 404
    assert "removed" in answer.text


def test_playback_is_a_recording_that_players_open(case):
    """Ordinary 32-bit float WAV, as long as what was heard."""
    import soundfile

    samples, rate = soundfile.read(BytesIO(get(case, "audio.wav").data))
    assert rate == 16_000
    assert abs(len(samples) / rate - 5.0) < 0.1
