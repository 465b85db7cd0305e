"""Mutations from a seed: the same numbers, the same bytes, on every machine."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence

# Where parsers that count in 8, 16, 31, 32, 63 and 64 bits go wrong.
EDGES = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    32_767,
    65_535,
    65_536,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
)
WORDS = (
    *(
        b"RIFF",
        b"WAVE",
        b"fmt ",
        b"data",
        b"LIST",
        b"fLaC",
        b"OggS",
        b"OpusHead",
        b"ftyp",
        b"moov",
        b"trak",
        b"stsd",
    ),
    *(
        b"\x1a\x45\xdf\xa3",
        b"\xff\xfb\x90\x00",
        b"ID3",
        b"Xing",
        b"name: ",
        b"&a ",
        b"*a",
        b"? ",
        b"!!python/",
        b"{",
        b"[",
    ),
    *(b'"', b".", b"\xef\xbb\xbf", b"\0", b"\r\n", b"NaN", b"1e999", b"-1", b"null"),
)
Mutation = Callable[[random.Random, bytearray, bytes], None]


def _flip(rng: random.Random, content: bytearray, _: bytes) -> None:
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _set(rng: random.Random, content: bytearray, _: bytes) -> None:
    content[rng.randrange(len(content))] = rng.randrange(256)


def _edge(rng: random.Random, content: bytearray, _: bytes) -> None:
    size = rng.choice((1, 2, 3, 4, 8))
    value = (rng.choice(EDGES) & (1 << 8 * size) - 1).to_bytes(size, rng.choice(("little", "big")))
    at = rng.randrange(len(content))
    content[at : at + size] = value


def _word(rng: random.Random, content: bytearray, _: bytes) -> None:
    at, word = rng.randrange(len(content)), rng.choice(WORDS)
    content[at : at + (len(word) if rng.random() < 0.5 else 0)] = word


def _cut(rng: random.Random, content: bytearray, _: bytes) -> None:
    start = rng.randrange(len(content))
    del content[start : start + rng.choice((1, 2, 4, 100, len(content)))]


def _repeat(rng: random.Random, content: bytearray, _: bytes) -> None:
    start = rng.randrange(len(content))
    piece = content[start : start + rng.choice((1, 4, 30, 1000))]
    content[start:start] = piece * rng.choice((1, 2, 50))


def _splice(rng: random.Random, content: bytearray, other: bytes) -> None:
    start = rng.randrange(len(other))
    content[rng.randrange(len(content)) :] = other[start:]


def _noise(rng: random.Random, content: bytearray, _: bytes) -> None:
    at = rng.randrange(len(content))
    content[at : at + 16] = struct.pack("<QQ", rng.getrandbits(64), rng.getrandbits(64))


MUTATIONS: tuple[Mutation, ...] = (_flip, _set, _edge, _word, _cut, _repeat, _splice, _noise)


def mutated(seeds: Sequence[bytes], *, seed: int) -> Iterator[bytes]:
    """Yield endlessly many changed inputs; each is one of `seeds` after one to six mutations.

    Half of the changes happen within the first 300 bytes, where headers are.
    """
    rng, usable = random.Random(seed), [content for content in seeds if content]
    yield b""
    while True:
        content = bytearray(rng.choice(usable))
        tail = bytearray()
        if rng.random() < 0.5:
            content, tail = content[:300], content[300:]
        for _ in range(rng.randint(1, 6)):
            rng.choice(MUTATIONS)(rng, content, rng.choice(usable))
            content = content or bytearray(b"\0")
        yield bytes(content + tail)
