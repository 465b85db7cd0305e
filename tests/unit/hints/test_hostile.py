"""Anything at all as token, challenge, claim, action or session: always a state and a code, never another exception."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prelisten.errors import BadRequestError
from prelisten.hints import issue_challenge, seal, verify
from prelisten.hints.envelope import EnvelopeError
from prelisten.keys import Key, Keys
from prelisten.records import TokenState

NOW = 1_800_000_000
KEYS = Keys((Key("0a0a0a0a", b"k" * 32, NOW),))
DETECTOR = ("wd-0.1.0-abcdef01", "d" * 64)
ORIGIN = "https://form.example"
SIZE = settings(
    max_examples=5_000 if os.environ.get("TEST_SIZE") == "full" else 150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def nested(depth: int) -> list:
    """A list in a list in a list, deeper than Python's own recursion goes."""
    inner: list = []
    for _ in range(depth):
        inner = [inner]
    return inner


class Odd:
    """Equal to everything, like nothing."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "odd"


EVERY_TYPE = [
    *(b"", b"0a0a0a0a.e30.x", bytearray(b"a.b.c"), memoryview(b"a.b.c")),
    *(0, 1, -1, 2**400, True, False, 0.5, float("nan"), float("inf"), 1j),
    *(
        "\0",
        "\ud800",
        "\udfff" * 9,
        "é",
        "０a.b.c",
        "a.b.c",
        "..",
        "0a0a0a0a..",
        "0a0a0a0a...",
        "." * 5000,
        "\n",
    ),
    *("x" * 10_000_000, "0a0a0a0a." + "A" * 5900 + ".AAAA", "0a0a0a0a.." + "eNo" * 900 + ".AAAA"),
    *("null", "{}", "[]", '{"a":1}', "[" * 5900, '{"a":' * 1000),
    *(
        [],
        {},
        (),
        set(),
        frozenset(),
        [None],
        {"a": {"b": []}},
        nested(100),
        Odd(),
        object(),
        type,
        print,
        ...,
    ),
]


def id_of(value: object) -> str:
    """Name a value in a test's id, without the address in memory that differs between processes."""
    return ascii(value)[:20].partition(" at 0x")[0]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


def check(token: object, **changes: object):
    fit = {"sha256": "f" * 64, "action": "voice", "session": None, "origin": ORIGIN, "keys": KEYS}
    return verify(token, **(fit | {"detectors": {DETECTOR}, "now": NOW + 60} | changes))


def challenged(**changes: object):
    fit = {"action": "voice", "origin": ORIGIN, "session": None, "detectors": {DETECTOR}, "keys": KEYS}
    return issue_challenge(**(fit | {"now": NOW, "ttl_s": 900} | changes))


def a_claim(cid: str) -> dict:
    return {
        "v": 1,
        "cid": cid,
        "file": {"size": 10, "type": "audio/wav", "sha256": "f" * 64},
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


def sealed(challenge: object, claim: object):
    return seal(challenge, claim, origin=ORIGIN, keys=KEYS, now=NOW, ttl_s=3600)


def fields_of(value: dict, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the way to every field of a claim, also to those inside others."""
    paths = []
    for name, part in value.items():
        paths += [(*path, name), *(fields_of(part, (*path, name)) if isinstance(part, dict) else [])]
    return paths


FIELDS = fields_of(a_claim("0" * 32))


@pytest.mark.parametrize("token", EVERY_TYPE, ids=id_of)
def test_whatever_comes_as_a_token_gets_a_state_and_a_code(token: object) -> None:
    """Bytes, numbers, lone surrogates, ten megabytes, objects that are equal to everything."""
    result = check(token)
    assert result.token in {TokenState.MALFORMED, TokenState.BAD_SIGNATURE, TokenState.UNKNOWN_KEY}
    assert result.codes == (f"HINT_{result.token.name}",)
    assert result.claim is None


@pytest.mark.parametrize("challenge", EVERY_TYPE, ids=id_of)
def test_whatever_comes_as_a_challenge_is_refused_with_a_code(challenge: object) -> None:
    """The route tells the code; nothing else gets out."""
    with pytest.raises(EnvelopeError) as refused:
        sealed(challenge, a_claim("0" * 32))
    assert refused.value.code in {"malformed", "bad_signature", "unknown_key"}


@pytest.mark.parametrize("claim", [None, "", *EVERY_TYPE, nested(100_000)], ids=lambda claim: "claim")
def test_whatever_comes_as_a_claim_is_refused_with_a_code(claim: object) -> None:
    """Also a list a hundred thousand deep, which no parser of ours would let through."""
    text, _ = challenged()
    with pytest.raises(BadRequestError) as refused:
        sealed(text, claim)
    assert refused.value.code == "bad_claim"
    str(refused.value).encode()


@SIZE
@given(st.sampled_from(FIELDS), json_values)
def test_whatever_stands_in_a_field_is_sealed_or_refused(path: tuple[str, ...], value: object) -> None:
    """A claim that is sealed fits into the token, and comes back as what it was."""
    text, challenge = challenged()
    claim = part = a_claim(challenge.cid)
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    refused = None
    try:
        token, _ = sealed(text, claim)
    except BadRequestError as error:
        refused = error
    if refused is not None:
        assert refused.code in {"bad_claim", "wrong_challenge", "unknown_detector", "claim_too_large"}
        assert str(refused).encode()
        return
    assert len(token) <= 2048
    result = check(token, sha256=claim["file"]["sha256"])
    assert result.token is TokenState.OK
    assert json.loads(json.dumps(result.claim)) == result.claim


@pytest.mark.parametrize("path", FIELDS)
def test_lone_surrogate_in_a_claim_is_refused(path: tuple[str, ...]) -> None:
    """No database could store it, and no page could show it."""
    text, challenge = challenged()
    claim = part = a_claim(challenge.cid)
    for name in path[:-1]:
        part = part[name]
    for value in ("\ud800", {"\ud800": 1}, ["\ud800"]):
        part[path[-1]] = value
        with pytest.raises(BadRequestError) as refused:
            sealed(text, claim)
        assert refused.value.code == "bad_claim"
        assert str(refused.value).encode()


@pytest.mark.parametrize(
    "action", ["", " ", "ä", "a" * 33, "a\n", "\ud800", "a\0", None, 7, b"voice", [], {}]
)
def test_whatever_comes_as_an_action_gets_no_challenge(action: object) -> None:
    """An action is a word of ours; another one is a refusal that says so."""
    with pytest.raises(BadRequestError, match="action"):
        challenged(action=action)


@pytest.mark.parametrize("session", ["\ud800", "\udcff" * 100, "\0", "é" * 10_000, "\U0001f3a4", " "])
def test_whatever_comes_as_a_session_binds(session: str) -> None:
    """A lone surrogate, as JSON may carry one, is a session like another."""
    text, challenge = challenged(session=session)
    token, _ = sealed(text, a_claim(challenge.cid))
    assert check(token, session=session).token is TokenState.OK
    assert check(token, session=session + "x").token is TokenState.WRONG_SESSION


@pytest.mark.parametrize("name", ["sha256", "action", "origin"])
@pytest.mark.parametrize("value", ["", "\ud800", "é", "x" * 10_000_000, "\0"])
def test_whatever_the_request_says_is_compared_and_no_more(name: str, value: str) -> None:
    """A good token beside a hostile request is a token for something else."""
    text, challenge = challenged()
    token, _ = sealed(text, a_claim(challenge.cid))
    assert check(token).token is TokenState.OK
    assert check(token, **{name: value}).token.startswith("wrong_")
