"""A hundred thousand forged tokens, none accepted: flipped, spliced, respelt, re-signed, truncated, doubled."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from itsdangerous import URLSafeSerializer

from prelisten.hints import issue_challenge, seal, verify
from prelisten.hints.envelope import CHALLENGE_SALT, HINT_SALT, unpack
from prelisten.keys import Key, Keys
from prelisten.records import HintCheck, TokenState

IS_FULL = os.environ.get("TEST_SIZE") == "full"
TRIES = 100_000 if IS_FULL else 6_000
NOW = 1_800_000_000
RING = Keys((Key("0b0b0b0b", b"n" * 32, NOW), Key("0a0a0a0a", b"k" * 32, NOW - 9)))
OTHER_SITE = Keys((Key("0b0b0b0b", b"o" * 32, NOW),))
DETECTOR = ("wd-0.1.0-abcdef01", "d" * 64)
FILE, ORIGIN = "f" * 64, "https://form.example"


def a_token(keys: Keys = RING, *, sha256: str = FILE, action: str = "voice", q: int = 120) -> str:
    text, challenge = issue_challenge(
        action=action, origin=ORIGIN, session=None, detectors={DETECTOR}, keys=keys, now=NOW, ttl_s=900
    )
    claim = {
        "v": 1,
        "cid": challenge.cid,
        "file": {"size": 10, "type": "audio/wav", "sha256": sha256},
        "det": {"id": DETECTOR[0], "sha256": DETECTOR[1]},
        "band": "clear",
        "q": q,
        "reasons": ["SOME_CODE"],
        "cov": {"analysed_ms": 4000, "total_ms": 4000},
        "exact": {"n": 64000},
        "near": {"seg": "Hg==", "stat": [1, 2, 3]},
        "env": {"decoder": "wav", "rate": 16000},
        "t": {"load": 900},
    }
    return seal(text, claim, origin=ORIGIN, keys=keys, now=NOW, ttl_s=3600)[0]


def check(token: object) -> HintCheck:
    return verify(
        token,
        sha256=FILE,
        action="voice",
        session=None,
        origin=ORIGIN,
        keys=RING,
        detectors={DETECTOR},
        now=NOW + 60,
    )


GOOD = [a_token(q=q) for q in range(4)] + [a_token(Keys(RING.ring[1:]), q=q) for q in range(4)]
# Good tokens of another file, of another action, and of another site with the same key id: parts to splice.
FOREIGN = [a_token(sha256="0" * 64), a_token(action="other"), a_token(OTHER_SITE), a_token()[:-1]]
LOOKALIKES = {"a": "а", "0": "０", ".": "․", "-": "‐", "b": "ｂ", "e": "é"}


def signed(text: str, *, key: Key = RING.signing, salt: str = HINT_SALT, **signer: object) -> str:
    """Sign a text as somebody would who knew the key, in one way or another."""
    plain = {"digest_method": hashlib.sha256, "key_derivation": "hmac"} | signer

    class AsItStands:
        dumps = staticmethod(lambda value, **_: value if isinstance(value, str) else "{}")
        loads = staticmethod(json.loads)

    serializer = URLSafeSerializer(key.secret, salt=salt, serializer=AsItStands, signer_kwargs=plain)
    return f"{key.id}.{serializer.dumps(text)}"


def content_of(token: str) -> dict:
    return unpack(token, salt=HINT_SALT, keys=RING)


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def flipped(token: str, dice: random.Random) -> str:
    """A bit of one character, so that it may leave the alphabet, or ASCII."""
    place = dice.randrange(len(token))
    return token[:place] + chr(ord(token[place]) ^ (1 << dice.randrange(11))) + token[place + 1 :]


def spliced(token: str, dice: random.Random) -> str:
    """Parts of two tokens: at the dots, or anywhere."""
    other = dice.choice(GOOD + FOREIGN)
    if dice.random() < 0.5:
        first, second = token.split("."), other.split(".")
        mixed = [dice.choice(pair) for pair in zip(first, second, strict=False)]
        return ".".join(mixed)
    return token[: dice.randrange(len(token))] + other[dice.randrange(len(other)) :]


def respelt(token: str, dice: random.Random) -> str:
    """Other spellings of the same bytes in base64, which lenient readers take for the same."""
    key_id, _, rest = token.partition(".")
    payload, _, signature = rest.rpartition(".")
    spoil: list[Callable[[str], str]] = [
        lambda part: part + "=" * dice.randrange(1, 4),
        lambda part: part.replace("-", "+").replace("_", "/") + ("" if set(part) & {"-", "_"} else "="),
        lambda part: _inserted(part, dice, dice.choice(" \n\t\r!~%=")),
        lambda part: (
            part[:-1] + dice.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        ),
        lambda part: base64.b64encode(part.encode()).decode(),
        str.swapcase,
    ]
    chosen = dice.choice(spoil)
    if dice.random() < 0.5:
        return f"{key_id}.{chosen(payload)}.{signature}"
    return f"{key_id}.{payload}.{chosen(signature)}"


def _inserted(text: str, dice: random.Random, letter: str) -> str:
    place = dice.randrange(len(text) + 1)
    return text[:place] + letter + text[place:]


def edited(token: str, dice: random.Random) -> str:
    """A field changed, and signed with what an attacker may have: another salt, key, hash or derivation."""
    content = content_of(token)
    path = dice.choice([("claim", "q"), ("claim", "band"), ("exp",), ("challenge", "act"), ("claim", "cid")])
    part = content
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = dice.choice([0, 1, "clear", 2**40, "voice", "f" * 32])
    wrong: list[dict] = [
        {"salt": CHALLENGE_SALT},
        {"salt": ""},
        {"salt": "itsdangerous"},
        {"key": Key(RING.signing.id, dice.randbytes(32), NOW)},
        {"key": Key(RING.ring[1].id, RING.signing.secret, NOW)},
        {"key": Key(RING.signing.id, b"", NOW)},
        {"digest_method": hashlib.sha1},
        {"digest_method": hashlib.sha512},
        {"key_derivation": "django-concat"},
        {"key_derivation": "concat"},
        {"key_derivation": "none"},
    ]
    return signed(compact(content), **dice.choice(wrong))


def truncated(token: str, dice: random.Random) -> str:
    start = dice.choice([0, 0, dice.randrange(len(token))])
    return token[start : dice.randrange(len(token))]


def doubled(token: str, dice: random.Random) -> str:
    """A key that stands twice, signed with the right key: two readers might see two values."""
    text, content = compact(content_of(token)), content_of(token)
    name = dice.choice(list(content["claim"]))
    twice = f"{compact(name)}:{compact(content['claim'][name])},"
    places = [text.index('"claim":{') + 9, 1]
    place = dice.choice(places)
    whole = f'"exp":{content["exp"] + dice.randrange(9)},'
    return signed(text[:place] + (twice if place == places[0] else whole) + text[place:])


def loosened(token: str, dice: random.Random) -> str:
    """Signed with the right key, and outside the schema: another type, a further key, a missing one, NaN."""
    content = content_of(token)
    spoil: list[Callable[[], object]] = [
        lambda: content.update(more=1),
        lambda: content["claim"].update(more=1),
        lambda: content["challenge"].update(more=1),
        lambda: content["claim"].update(q=True),
        lambda: content["claim"].update(q=0.5),
        lambda: content["claim"].update(q=float("nan")),
        lambda: content["claim"].update(v="1"),
        lambda: content.update(exp=str(content["exp"])),
        lambda: content.update(exp=float("inf")),
        lambda: content.pop("sealed_at"),
        lambda: content["claim"].pop(dice.choice(["v", "cid", "file", "det", "band", "q", "near", "t"])),
        lambda: content["challenge"].update(tst="genuine"),
        lambda: content["claim"]["file"].update(sha256=FILE.upper()),
        lambda: content["claim"].update(reasons=["A"] * 17),
    ]
    dice.choice(spoil)()
    return signed(dice.choice([compact(content), compact([content]), compact(compact(content))]))


def renamed(token: str, dice: random.Random) -> str:
    """Another key id before the same payload and signature."""
    key_id, _, rest = token.partition(".")
    others = [
        "",
        "0a0a0a0a",
        "0b0b0b0b",
        "test-" + key_id,
        key_id.upper(),
        key_id + "\0",
        " " + key_id,
        "../keys",
    ]
    return f"{dice.choice([other for other in others if other != key_id])}.{rest}"


def in_unicode(token: str, dice: random.Random) -> str:
    """Letters that look the same, or that some reader strips or folds."""
    place = dice.randrange(len(token))
    letter = LOOKALIKES.get(token[place])
    if letter is not None and dice.random() < 0.5:
        return token[:place] + letter + token[place + 1 :]
    return _inserted(
        token, dice, dice.choice(["\u200b", "\ufeff", "\u0301", "\0", "\ud800", "\U0001f3a4", "\u2028"])
    )


def nested(token: str, dice: random.Random) -> str:
    """Signed with the right key, and deeper than a parser likes."""
    depth = dice.choice([50, 500, 1400])
    return signed(dice.choice(["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, "[" * depth]))


KINDS = [flipped, spliced, respelt, edited, truncated, doubled, loosened, renamed, in_unicode, nested]


def forgeries(seed: int) -> Iterator[tuple[str, str]]:
    """Yield (kind, forged token): every kind in turn, none of them one of the good tokens."""
    dice, made = random.Random(seed), 0
    while made < TRIES:
        kind = KINDS[made % len(KINDS)]
        forged = kind(dice.choice(GOOD), dice)
        if forged not in GOOD:
            made += 1
            yield kind.__name__, forged


@pytest.mark.parametrize("token", GOOD)
def test_what_is_forged_from_is_good(token: str) -> None:
    """Else nothing would be shown by what follows."""
    assert check(token).token is TokenState.OK
    assert check(signed(compact(content_of(token)))).token is TokenState.OK


def test_no_forged_token_is_accepted() -> None:
    """Each gets a state other than `ok` and a code of its own; none an exception."""
    states = Counter[tuple[str, str]]()
    for kind, forged in forgeries(20_261_121):
        result = check(forged)
        assert result.token is not TokenState.OK, (kind, forged)
        assert result.codes == (f"HINT_{result.token.name}",)
        states[kind, result.token.value] += 1
    assert states.total() == TRIES
    for kind in KINDS:
        print(
            kind.__name__, {state: n for (name, state), n in sorted(states.items()) if name == kind.__name__}
        )
