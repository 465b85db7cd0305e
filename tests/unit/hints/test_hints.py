"""Tokens: what a hint's seal shows, and everything that it refuses."""

from __future__ import annotations

import copy
import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prelisten.errors import BadRequestError
from prelisten.hints import issue_challenge, seal, verify
from prelisten.hints.envelope import CHALLENGE_SALT, HINT_SALT, EnvelopeError, StrictJson, pack, unpack
from prelisten.hints.seal import FIXED_OUTCOMES
from prelisten.keys import Key, Keys
from prelisten.records import Action, TokenState

NOW = 1_800_000_000
OURS = Keys((Key("0a0a0a0a", b"k" * 32, NOW),))
DETECTOR = ("wd-0.1.0-abcdef01", "d" * 64)
FILE = "f" * 64
ORIGIN = "https://form.example"


def a_challenge(**changes):
    options = {
        "action": "voice-upload",
        "origin": ORIGIN,
        "session": None,
        "detectors": {DETECTOR},
        "keys": OURS,
        "now": NOW,
        "ttl_s": 900,
    }
    return issue_challenge(**options | changes)


def a_claim(cid: str) -> dict:
    return {
        "v": 1,
        "cid": cid,
        "file": {"size": 10, "type": "audio/wav", "sha256": FILE},
        "det": {"id": DETECTOR[0], "sha256": DETECTOR[1]},
        "band": "clear",
        "q": 120,
        "reasons": ["SOME_CODE"],
        "cov": {"analysed_ms": 4000, "total_ms": 4000},
        "exact": {"n": 64000},
        "near": {"seg": "Hg==", "stat": [1, 2, 3]},
        "env": {"decoder": "wav", "rate": 16000},
        "t": {"load": 900},
    }


def a_token(**changes) -> str:
    text, challenge = a_challenge(**changes)
    return seal(text, a_claim(challenge.cid), origin=ORIGIN, keys=OURS, now=NOW, ttl_s=3600)[0]


def a_test_token(outcome: str | None, *, keys: Keys = OURS) -> str:
    text, challenge = a_challenge(test=outcome, keys=keys)
    options = {"origin": ORIGIN, "keys": keys, "now": NOW, "ttl_s": 3600, "with_tests": True}
    return seal(text, a_claim(challenge.cid), **options)[0]


def check(token, **changes):
    options = {
        "sha256": FILE,
        "action": "voice-upload",
        "session": None,
        "origin": ORIGIN,
        "keys": OURS,
        "detectors": {DETECTOR},
        "now": NOW + 60,
    }
    return verify(token, **options | changes)


TOKEN = a_token()


def test_sealed_hint_is_ok_and_gives_the_claim_back():
    """A token about this file, asked for by this page, is `ok`, and its claim is what was sealed."""
    result = check(a_token())
    assert result.token is TokenState.OK
    assert result.claim["q"] == 120
    assert result.codes == ()
    assert result.floor is Action.ACCEPT


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"sha256": "0" * 64}, TokenState.WRONG_FILE),
        ({"action": "comment"}, TokenState.WRONG_ACTION),
        ({"origin": "https://elsewhere.example"}, TokenState.WRONG_ORIGIN),
        ({"session": "somebody"}, TokenState.WRONG_SESSION),
        ({"now": NOW + 3600}, TokenState.EXPIRED),
        ({"detectors": {("wd-9", "e" * 64)}}, TokenState.UNKNOWN_DETECTOR),
        ({"keys": Keys((Key("ffffffff", b"z" * 32, NOW),))}, TokenState.UNKNOWN_KEY),
        ({"keys": Keys((Key("0a0a0a0a", b"z" * 32, NOW),))}, TokenState.BAD_SIGNATURE),
    ],
)
def test_token_out_of_place_is_named(changes, state):
    """Each way in which a token does not fit has its own state and its own code."""
    result = check(a_token(), **changes)
    assert result.token is state
    assert result.codes == (f"HINT_{state.name}",)


@pytest.mark.parametrize("outcome", [*FIXED_OUTCOMES])
def test_fixed_outcome_is_signed_into_challenge_and_token(outcome):
    """Test mode's outcome travels under the signature; a real challenge does not have the field at all."""
    token = a_test_token(outcome)
    assert unpack(token, salt=HINT_SALT, keys=OURS)["challenge"]["tst"] == outcome
    assert "tst" not in unpack(a_challenge()[0], salt=CHALLENGE_SALT, keys=OURS)
    assert "tst" not in unpack(TOKEN, salt=HINT_SALT, keys=OURS)["challenge"]


@pytest.mark.parametrize(
    ("outcome", "state", "q"),
    [
        ("clear", TokenState.OK, 50),
        ("elevated", TokenState.OK, 600),
        ("high", TokenState.OK, 950),
        ("inconclusive", TokenState.OK, None),
        ("unsupported", TokenState.ABSENT, None),
        ("error", TokenState.ABSENT, None),
        ("timeout", TokenState.ABSENT, None),
        ("expired", TokenState.EXPIRED, None),
    ],
)
def test_fixed_outcome_is_what_it_stands_for(outcome, state, q):
    """Where tests are run: a band as it was asked for, or what a form without a good token comes with."""
    result = check(a_test_token(outcome), with_tests=True)
    assert result.token is state
    if state is TokenState.OK:
        assert (result.claim["band"], result.claim["q"], result.codes) == (outcome, q, ("HINT_TEST",))
    assert check(a_test_token(outcome), with_tests=True, sha256="0" * 64).token is TokenState.WRONG_FILE


@pytest.mark.parametrize("outcome", FIXED_OUTCOMES)
def test_production_knows_no_fixed_outcome(outcome):
    """Neither is such a challenge sealed, nor is a token `ok` that was sealed elsewhere with the same keys."""
    assert check(a_test_token(outcome)).token is TokenState.UNKNOWN_KEY
    text, challenge = a_challenge(test=outcome)
    with pytest.raises(EnvelopeError) as refused:
        seal(text, a_claim(challenge.cid), origin=ORIGIN, keys=OURS, now=NOW, ttl_s=3600)
    assert refused.value.code == "unknown_key"


def test_production_knows_no_test_key():
    """What a test key signed is never `ok`, not even where the key itself got into the ring."""
    ring = Keys((Key("test-0a0a0a0a", b"t" * 32, NOW), *OURS.ring))
    token = a_test_token(None, keys=ring)
    assert token.startswith("test-")
    assert check(token, keys=ring).token is TokenState.UNKNOWN_KEY
    assert check(token, keys=ring, with_tests=True).token is TokenState.OK


def test_token_names_the_claims_detector_alone():
    """A challenge may list eight of them; a token that carried them all would not fit into its two kilobytes."""
    others = {(f"wd-{number}", f"{number:064x}") for number in range(7)}
    sealed = unpack(a_token(detectors={DETECTOR, *others}), salt=HINT_SALT, keys=OURS)
    assert sealed["challenge"]["det"] == [{"id": DETECTOR[0], "sha256": DETECTOR[1]}]


def test_unknown_fixed_outcome_gets_no_challenge():
    """Only the eight of the protocol are signed."""
    with pytest.raises(BadRequestError):
        a_challenge(test="genuine")


def test_token_without_origin_to_compare_is_ok():
    """A back end that speaks for itself has no origin, and none is asked of it."""
    assert check(a_token(), origin=None).token is TokenState.OK


def test_session_is_bound_but_not_readable():
    """A token asked for in a session is good in that session alone, and does not carry its text."""
    token = a_token(session="login-4711")
    assert check(token, session="login-4711").token is TokenState.OK
    assert check(token, session=None).token is TokenState.WRONG_SESSION
    assert "login-4711" not in json.dumps(unpack(token, salt=HINT_SALT, keys=OURS))


def test_empty_session_is_none():
    """A page may render `session=""` for who is not signed in; forms cannot tell an empty field from none."""
    assert check(a_token(session=""), session=None).token is TokenState.OK
    assert check(a_token(session=None), session="").token is TokenState.OK
    assert check(a_token(session="somebody"), session="").token is TokenState.WRONG_SESSION


@pytest.mark.parametrize("letter", string.ascii_letters + string.digits + "-_=")
def test_signature_has_one_spelling(letter):
    """The unused bits of the signature's last letter cannot be used to make a second token of one."""
    mutated = TOKEN[:-1] + letter
    assert mutated == TOKEN or check(mutated).token is TokenState.BAD_SIGNATURE


def test_challenge_never_passes_as_a_token():
    """The salts differ, so the signature of a challenge is no signature of a token."""
    text, _ = a_challenge()
    assert check(text).token is TokenState.BAD_SIGNATURE


def test_older_key_still_verifies_after_a_rotation():
    """A new key signs; what the older one signed stays good."""
    rotated = Keys((Key("0b0b0b0b", b"n" * 32, NOW), *OURS.ring))
    assert check(a_token(), keys=rotated).token is TokenState.OK
    assert pack({}, salt=HINT_SALT, keys=rotated).startswith("0b0b0b0b.")


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_is_absent_and_raises_no_floor(token):
    """A form without a hint is an ordinary form."""
    assert check(token).token is TokenState.ABSENT
    assert check(token).floor is Action.ACCEPT


@given(st.one_of(st.text(), st.binary(), st.integers(), st.lists(st.text()), st.none(), st.just("a.b.c")))
def test_anything_at_all_is_a_state_never_an_error(token):
    """Whatever arrives as a token, `verify` answers."""
    assert check(token).token is not TokenState.OK


@settings(max_examples=500)
@given(st.data())
def test_mutated_token_is_never_ok(data):
    """One changed, lost or added character makes a token worthless."""
    token = TOKEN
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_.="))
    kind = data.draw(st.sampled_from(["replace", "drop", "insert"]))
    tail = token[place + (kind != "insert") :]
    mutated = token[:place] + ("" if kind == "drop" else letter) + tail
    if mutated != token:
        assert check(mutated).token is not TokenState.OK


@pytest.mark.parametrize(
    "spoil",
    [
        lambda claim: claim.update(v=2),
        lambda claim: claim.update(extra=1),
        lambda claim: claim.pop("band"),
        lambda claim: claim.update(q=1001),
        lambda claim: claim.update(q="120"),
        lambda claim: claim.update(band="genuine"),
        lambda claim: claim["file"].update(sha256="F" * 64),
        lambda claim: claim["near"].update(stat=[0] * 17),
        lambda claim: claim["near"].update(seg="<script>"),
        lambda claim: claim.update(reasons=["A"] * 17),
        lambda claim: claim["env"].update(rate=float("nan")),
        lambda claim: claim.update(t={"load": -1}),
    ],
)
def test_claim_outside_the_schema_is_not_sealed(spoil):
    """The schema is strict: no unknown keys, no other types, nothing over its limit."""
    text, challenge = a_challenge()
    claim = copy.deepcopy(a_claim(challenge.cid))
    spoil(claim)
    with pytest.raises(BadRequestError) as refused:
        seal(text, claim, origin=ORIGIN, keys=OURS, now=NOW, ttl_s=3600)
    assert refused.value.code == "bad_claim"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"now": NOW + 900}, "challenge_expired"),
        ({"origin": "https://elsewhere.example"}, "wrong_origin"),
    ],
)
def test_stale_or_foreign_challenge_is_not_sealed(changes, code):
    """A challenge is good for its time and for the page that asked."""
    text, challenge = a_challenge()
    options = {"origin": ORIGIN, "keys": OURS, "now": NOW, "ttl_s": 3600} | changes
    with pytest.raises(BadRequestError) as refused:
        seal(text, a_claim(challenge.cid), **options)
    assert refused.value.code == code


def test_claim_for_another_challenge_is_not_sealed():
    """A claim names its challenge, so that it cannot be moved under another one."""
    text, _ = a_challenge()
    with pytest.raises(BadRequestError) as refused:
        seal(text, a_claim("0" * 32), origin=ORIGIN, keys=OURS, now=NOW, ttl_s=3600)
    assert refused.value.code == "wrong_challenge"


def test_claim_of_an_unlisted_detector_is_not_sealed():
    """The challenge lists the detectors that the server knows; no other one is sealed."""
    text, challenge = a_challenge()
    claim = a_claim(challenge.cid) | {"det": {"id": "wd-other", "sha256": "0" * 64}}
    with pytest.raises(BadRequestError) as refused:
        seal(text, claim, origin=ORIGIN, keys=OURS, now=NOW, ttl_s=3600)
    assert refused.value.code == "unknown_detector"


@pytest.mark.parametrize("challenge", [None, 7, "", "x", "0a0a0a0a.x.y", "é" * 40, "a" * 10_000])
def test_challenge_that_is_none_of_ours_is_refused(challenge):
    """Only our own signed texts are sealed."""
    with pytest.raises(EnvelopeError):
        seal(challenge, a_claim("0" * 32), origin=ORIGIN, keys=OURS, now=NOW, ttl_s=3600)


@pytest.mark.parametrize("action", ["", "a" * 33, "a b", "ä", None, 3])
def test_unfit_action_gets_no_challenge(action):
    """An action is signed into the challenge, so it has one spelling only."""
    with pytest.raises(BadRequestError):
        a_challenge(action=action)


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', '{"a":NaN}', '{"a":Infinity}', "{", ""])
def test_json_with_two_readings_is_refused(text):
    """Repeated keys and numbers that JSON does not know are no JSON here."""
    with pytest.raises(ValueError, match=r"."):
        StrictJson.loads(text)


def test_signed_bytes_are_what_is_verified():
    """A payload signed for one purpose does not open under another."""
    text = pack({"a": 1}, salt=CHALLENGE_SALT, keys=OURS)
    assert unpack(text, salt=CHALLENGE_SALT, keys=OURS) == {"a": 1}
    with pytest.raises(EnvelopeError) as refused:
        unpack(text, salt=HINT_SALT, keys=OURS)
    assert refused.value.code == "bad_signature"


def test_largest_honest_claim_fits_into_two_kilobytes():
    """128 segments and 16 statistics seal into a token that a form field carries easily."""
    text, challenge = a_challenge(session="s" * 400)
    claim = a_claim(challenge.cid)
    claim["near"] = {"seg": "".join(chr(97 + i * 7 % 26) for i in range(172)), "stat": list(range(900, 916))}
    claim["reasons"] = [f"REASON_NUMBER_{i}" for i in range(6)]
    token, _ = seal(text, claim, origin=ORIGIN, keys=OURS, now=NOW, ttl_s=3600)
    assert len(token) <= 2048
