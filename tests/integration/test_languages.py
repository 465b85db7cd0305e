"""The pages that a sender sees, and the status that such a page asks for, in the language of the sender's browser."""

from __future__ import annotations

import io

import pytest

from prelisten.catalogue import sentence
from tests.integration.test_routes import API, send
from tests.recordings import speech_like, wav_bytes


def asking(language: str) -> dict[str, str]:
    """Return the header that a browser set to `language` sends."""
    return {"Accept-Language": f"{language},en;q=0.3"}


@pytest.mark.parametrize(
    ("language", "direction"), [("de", "ltr"), ("he", "rtl"), ("fa", "rtl"), ("en", "ltr")]
)
def test_form_speaks_the_senders_language(site, language, direction):
    """The page says which language it is in, which way it runs, and that it differs by what was asked."""
    response = site.client().get("/", headers=asking(language))
    assert f'<html lang="{language}" dir="{direction}">' in response.text
    assert sentence("page.form.title", language=language) in response.text
    assert response.headers["Content-Language"] == language
    assert "Accept-Language" in response.headers["Vary"]


def test_submission_speaks_the_senders_language(site):
    """Title, what comes next, the line about the queue; and the same sentences in the JSON that the page asks for."""
    location = send(site.client(), wav_bytes(speech_like(2.0, seed=7))).location
    page = site.client().get(location, headers=asking("de")).text
    for key in ("decision.hold.title", "decision.hold.next", "progress.waiting.next", "page.keep"):
        assert sentence(key, language="de") in page, key
    status = f"{API}/uploads/{location.rsplit('/', 1)[1]}"
    told = site.client().get(status, headers=asking("de")).json
    assert told["title"] == sentence("decision.hold.title", language="de")
    assert told["progress"]["text"] == sentence("progress.waiting.next", language="de")
    assert site.client().get(status).json["title"] == sentence("decision.hold.title")


def test_answer_to_an_upload_speaks_the_senders_language(site):
    """The first answer is in the same language as those that follow."""
    data = {"file": (io.BytesIO(wav_bytes(speech_like(2.0, seed=8))), "a.wav")}
    told = site.client().post(f"{API}/uploads", data=data, headers=asking("de")).json
    assert told["title"] == sentence("decision.hold.title", language="de")


def test_error_speaks_the_senders_language(site):
    """A page that is not there says so in words that its reader knows."""
    response = site.client().get("/submissions/none", headers=asking("fr"))
    assert response.status_code == 404
    assert sentence("error.not_found.title", language="fr") in response.text


def test_review_stays_english(site):
    """The reviewers' pages have not been translated: half a page in each language would be worse."""
    page = site.client().get("/review/", headers=asking("de")).text
    assert '<html lang="en" dir="ltr">' in page
    assert sentence("page.skip") in page
