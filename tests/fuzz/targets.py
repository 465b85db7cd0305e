"""What is fuzzed: for each parser what it is called with, what it may raise, and what must hold of its answer.

A target takes any bytes. It returns when all is well, and raises when the parser broke its word: `BrokenWordError`,
or whatever the parser itself should not have raised.
"""

from __future__ import annotations

import gc
import json
import math
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from io import BytesIO

from prelisten.errors import BadRequestError, ConfigError, MediaError
from prelisten.hints import seal, verify
from prelisten.hints.claim import DetectorRef
from prelisten.hints.envelope import CHALLENGE_SALT, HINT_SALT, EnvelopeError, StrictJson, pack, unpack
from prelisten.hints.seal import Challenge
from prelisten.keys import Key, Keys
from prelisten.media import child
from prelisten.media.limits import DecodeLimits
from prelisten.media.listen import Recording, _Child, _header
from prelisten.media.protocol import END, HEADER, PREFIX, pack_block, pack_json
from prelisten.media.readers import UnreadableError
from prelisten.policy.document import Policy, parse_policy
from wasm_detector.container import identify
from wasm_detector.wav import ExactSums, decode_frames

NOW = 1_800_000_000
KEYS = Keys((Key("0a0a0a0a", b"k" * 32, NOW),))
DETECTOR = ("wd-0.1.0-abcdef01", "d" * 64)
SHA256, ORIGIN = "f" * 64, "https://form.example"
LIMITS = DecodeLimits(max_seconds=4.0, max_output_samples=10_000_000)


class BrokenWordError(Exception):
    """A parser gave an answer that it promises never to give."""


@dataclass(frozen=True)
class Target:
    """A parser: `run` feeds it, `seeds` makes well-formed inputs to start from."""

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def must(is_so: bool, what: str) -> None:
    """Raise `BrokenWordError` unless a promise was kept."""
    if not is_so:
        raise BrokenWordError(what)


def read_container(content: bytes) -> None:
    """Bytes -> what the container says: it never raises, and promises no samples that are not there."""
    tail = content[-200:] if content[:1] == b"O" else b""
    found = identify(content, len(content), tail=tail)
    must(found.duration_s is None or (math.isfinite(found.duration_s) and found.duration_s >= 0), "a length")
    must(len(found.encoder or "") <= 60 and (found.encoder or "").isprintable(), "an encoder's name")
    must(identify(content, len(content), tail=tail) == found, "the same answer twice")
    must(json.dumps(found.encoder) is not None, "an answer that can be written down")
    if found.wav is not None:
        end = found.wav.data_offset + found.wav.n_frames * found.wav.frame_bytes
        must(found.wav.n_frames == 0 or end <= len(content), "samples that are there")


def read_wav(content: bytes) -> None:
    """Samples of a WAV: as many as stated, and sums that do not depend on how the file is cut."""
    layout = identify(content, len(content)).wav
    if layout is None:
        return
    whole = content[layout.data_offset : layout.data_offset + layout.n_frames * layout.frame_bytes]
    samples, sums = decode_frames(whole, layout)
    must(samples.shape == (layout.n_frames,) and samples.dtype.name == "float32", "one sample a frame")
    cut = layout.n_frames // 3 * layout.frame_bytes
    parts = [decode_frames(part, layout)[1] for part in (whole[:cut], whole[cut:])]
    must(ExactSums() + parts[0] + parts[1] == sums, "sums that add up")


def decode(content: bytes) -> None:
    """A whole file through the child's own code: an end with a code, or blocks inside the windows."""
    descriptor = _unnamed(content)
    out = BytesIO()
    try:
        child.decode(descriptor, LIMITS, {}, out)
    except (UnreadableError, MemoryError):  # The second is the code `out_of_memory`.
        return
    finally:
        os.close(descriptor)
        gc.collect(1)  # Decoders lie in cycles, and their memory is none that Python counts.
    hear(out.getvalue(), is_honest=True)


def _unnamed(content: bytes) -> int:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return os.dup(file.fileno())


class _Said(_Child):
    """What a child would have said, without the child."""

    def __init__(self, said: bytes) -> None:
        self.limits = LIMITS
        self._buffer = bytearray()
        self._said = BytesIO(said)

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size:
            data = self._said.read(size - len(self._buffer))
            if not data:
                raise MediaError("ended", code="decoder_failed", state="error")
            self._buffer += data


def hear(content: bytes, *, is_honest: bool = False) -> None:
    """What a child says, as its parent reads it: a decoder that was taken over may say anything."""
    try:
        said = _Said(content)
        recording = Recording(_header(said), said)
        last = 0
        for start, samples in recording.blocks():
            must(not is_honest or start >= last, "blocks in order")
            last = start + samples.size
        must(recording.n_samples <= LIMITS.max_output_samples, "no more samples than allowed")
        for note in recording.notes:
            json.dumps(note.to_dict(), allow_nan=False)
        json.dumps([recording.container, recording.exact, recording.total_s], allow_nan=False)
    except MediaError as error:
        must(not is_honest or error.code == "damaged", f"an honest child is understood ({error.code})")


def read_hint(content: bytes) -> None:
    """Signed texts: no bytes raise anything but the one error; what we did not sign is never `ok`."""
    text = content.decode("latin-1")
    for salt in (HINT_SALT, CHALLENGE_SALT):
        with suppress(EnvelopeError):
            unpack(text, salt=salt, keys=KEYS)
            must(text in _texts(), "only what was signed here is opened")
    found = _verified(text)
    must(found.token.value != "ok" or text in _texts(), "only what was sealed here is ok")
    try:
        claim = StrictJson.loads(text)
    except (ValueError, RecursionError):
        return
    with suppress(BadRequestError, EnvelopeError):
        seal(_challenge(), claim, origin=ORIGIN, keys=KEYS, now=NOW, ttl_s=60)
    # Behind the signature: a key that leaked, or a version of ours that wrote something else.
    _verified(pack(claim, salt=HINT_SALT, keys=KEYS))


def _verified(text: str):
    return verify(
        text, sha256=SHA256, action="a", session=None, origin=ORIGIN, keys=KEYS, detectors={DETECTOR}, now=NOW
    )


@cache
def _texts() -> tuple[str, str]:
    """Return a challenge and a token, the same in every process: what another one signed is ours too."""
    detectors = [DetectorRef(id=DETECTOR[0], sha256=DETECTOR[1])]
    challenge = Challenge(
        cid="0" * 32, iat=NOW, exp=NOW + 900, act="a", org=ORIGIN, sid=None, det=detectors
    ).model_dump()
    text = pack(challenge, salt=CHALLENGE_SALT, keys=KEYS)
    token, _ = seal(text, claim("0" * 32), origin=ORIGIN, keys=KEYS, now=NOW, ttl_s=3600)
    return text, token


def _challenge() -> str:
    return _texts()[0]


def claim(cid: str = "0" * 32) -> dict:
    """Return a claim that fits the schema."""
    return {
        "v": 1,
        "cid": cid,
        "file": {"size": 10, "type": "audio/wav", "sha256": SHA256},
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


def read_policy(content: bytes) -> None:
    """A policy file: any text is a policy or a `ConfigError`; a policy has a version, the same one every time."""
    try:
        policy = parse_policy(content.decode("utf-8", "replace"))
    except ConfigError:
        return
    must(isinstance(policy, Policy), "a policy")
    must(policy.version == parse_policy(content.decode("utf-8", "replace")).version, "the same version twice")


@cache
def media_seeds() -> list[bytes]:
    """Return short recordings in every format and wrapping that the poison corpus knows, and its small poisons."""
    from tests.poison.corpus import CORPUS

    made = [_short(kind) for kind in ("wav", "flac", "mp3", "ogg", "m4a", "opus", "webm")]
    return made + [content for poison in CORPUS if len(content := poison.make()) < 120_000]


def _short(kind: str) -> bytes:
    from tests.recordings import FORMATS, speech_like

    return FORMATS[kind](speech_like(0.5, seed=2), 16_000)


def wav_seeds() -> list[bytes]:
    """Return WAVs of every sample format, and their odd relatives."""
    import numpy as np

    from tests.poison import riff
    from tests.recordings import encoded

    voice = np.stack([np.linspace(-1, 1, 99), np.linspace(1, -1, 99)], axis=1)
    kinds = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
    plain = [encoded(voice, file_format=form, subtype=kind) for form in ("WAV", "WAVEX") for kind in kinds]
    return [
        *plain,
        riff.rf64(voice[:, 0]),
        riff.wave(riff.extensible(channels=2, bits=16), riff.chunk(b"data", b"1234")),
    ]


def said_seeds() -> list[bytes]:
    """Return what honest children said, and one that stops in the middle."""
    facts = {
        "format": "wav",
        "codec": "s16",
        "sample_rate": 16000,
        "channels": 1,
        "total_s": 2.0,
        "claimed_s": 3.0,
        "encoder": "Lavf",
        "other_tracks": 1,
        "isolation": {"has_no_network": True},
    }
    end = {
        "end_frame": 32_000,
        "is_longer": True,
        "damaged": 1,
        "cancelled": 20_000,
        "exact": {"n_frames": 5},
    }
    header, block = pack_json(HEADER, facts), pack_block(0, bytes(400))
    return [
        header + block + pack_json(END, end),
        header + block,
        header,
        header + PREFIX.pack(END, 2) + b"{}",
    ]


def hint_seeds() -> list[bytes]:
    """Return a challenge, a token and a claim."""
    texts = [
        *_texts(),
        json.dumps(claim()),
        json.dumps({"challenge": {}, "claim": claim(), "sealed_at": 1, "exp": 2}),
    ]
    return [text.encode() for text in texts]


def policy_seeds() -> list[bytes]:
    """Return the built-in policy and small ones."""
    from importlib import resources

    text = resources.files("prelisten.policy").joinpath("default.yaml").read_bytes()
    small = b"name: a\ndefault:\n  thresholds: {review: 0.5}\n"
    return [
        text,
        small,
        small + b"actions: {chat: {thresholds: {label: 0.1}}}\n",
        b"a: &a [1]\nb: *a\n? [x]\n: 1\n",
    ]


TARGETS = {
    target.name: target
    for target in (
        Target("container", read_container, media_seeds),
        Target("wav", read_wav, wav_seeds),
        Target("readers", decode, media_seeds),
        Target("protocol", hear, said_seeds),
        Target("hints", read_hint, hint_seeds),
        Target("policy", read_policy, policy_seeds),
    )
}
