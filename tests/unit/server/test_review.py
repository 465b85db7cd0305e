"""The reviewer's login and word."""

from __future__ import annotations

import os
import threading
import time

import pytest

from prelisten.errors import BadRequestError
from prelisten.keys import Key, Keys
from prelisten.records import Outcome
from prelisten.review import sign_in
from prelisten.review.resolution import read_resolution, read_reviewer

KEYS = Keys((Key.generate(),))


def test_link_works_once(tmp_path):
    """Of many who spend a code at once, one is let in."""
    code, let_in = sign_in.new_link_code(tmp_path), []
    threads = [
        threading.Thread(target=lambda: let_in.append(sign_in.spend_link_code(tmp_path, code)))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(let_in) == 1


def test_looking_at_a_link_does_not_spend_it(tmp_path):
    """A program that previews links must not lock the reviewer out."""
    code = sign_in.new_link_code(tmp_path)
    assert sign_in.is_link_code(tmp_path, code)
    assert sign_in.spend_link_code(tmp_path, code)
    assert not sign_in.is_link_code(tmp_path, code)


def test_new_link_ends_the_older_one(tmp_path):
    """Only the last printed link signs in."""
    old, new = sign_in.new_link_code(tmp_path), sign_in.new_link_code(tmp_path)
    assert not sign_in.spend_link_code(tmp_path, old)
    assert sign_in.spend_link_code(tmp_path, new)


def test_old_link_no_longer_works(tmp_path):
    """After a day a link is worthless, spent or not."""
    code = sign_in.new_link_code(tmp_path)
    stored = next((tmp_path / "reviewer-links").iterdir())
    day_ago = time.time() - sign_in.LINK_TTL_S - 1
    os.utime(stored, (day_ago, day_ago))
    assert not sign_in.spend_link_code(tmp_path, code)


@pytest.mark.parametrize("code", ["", "../../keys.json", "x" * 5000, "\x00"])
def test_made_up_code_signs_nobody_in(tmp_path, code):
    """A code is only ever used as a digest, so it reaches no file."""
    sign_in.new_link_code(tmp_path)
    assert not sign_in.spend_link_code(tmp_path, code)


def test_session_names_its_reviewer_and_cannot_be_made_up(tmp_path):
    """The cookie is signed; another key ring's cookie is nobody's."""
    cookie = sign_in.new_session(tmp_path, "Mona", KEYS)
    assert sign_in.session_reviewer(tmp_path, cookie, KEYS) == "Mona"
    assert sign_in.session_reviewer(tmp_path, cookie + "x", KEYS) is None
    assert sign_in.session_reviewer(tmp_path, cookie, Keys((Key.generate(),))) is None


def test_ended_session_is_nobodys(tmp_path):
    """After signing out a kept copy of the cookie opens nothing; other sessions go on."""
    mine, other = (sign_in.new_session(tmp_path, name, KEYS) for name in ("Mona", "Theo"))
    sign_in.end_session(tmp_path, mine)
    assert sign_in.session_reviewer(tmp_path, mine, KEYS) is None
    assert sign_in.session_reviewer(tmp_path, other, KEYS) == "Theo"


def test_form_token_belongs_to_one_session(tmp_path):
    """Another session's form is refused."""
    mine, theirs = (sign_in.new_session(tmp_path, "Mona", KEYS) for _ in range(2))
    assert sign_in.is_form_token(sign_in.form_token(mine, KEYS), mine, KEYS)
    assert not sign_in.is_form_token(sign_in.form_token(theirs, KEYS), mine, KEYS)
    assert not sign_in.is_form_token("ä", mine, KEYS)


def test_resolution_keeps_the_words_of_the_reviewer():
    """An outcome, a note and a name make a resolution."""
    resolution = read_resolution("synthetic", " heard a vocoder ", "Mona")
    assert (resolution.outcome, resolution.note) == (Outcome.SYNTHETIC, "heard a vocoder")


@pytest.mark.parametrize(("outcome", "note"), [("", ""), ("guilty", ""), ("synthetic", "x" * 4001)])
def test_unfit_resolution_says_what_to_change(outcome, note):
    """What cannot be stored is refused with a sentence."""
    with pytest.raises(BadRequestError, match=r"outcomes|characters"):
        read_resolution(outcome, note, "Mona")


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\nb"])
def test_unfit_reviewer_name_is_refused(name):
    """A name stands beside outcomes, so it must be readable."""
    with pytest.raises(BadRequestError):
        read_reviewer(name)
