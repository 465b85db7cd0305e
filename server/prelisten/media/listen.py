"""Listen to a file: start the decoding child, check what it says, and hand its samples on as they come.

The parent never reads the file itself, holds a few seconds of samples at most, and kills by its own clock.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prelisten.config import Config
from prelisten.errors import Cancelled, MediaError, StorageError
from prelisten.media.failures import media_error
from prelisten.media.limits import MAX_LENGTH_S, DecodeLimits
from prelisten.media.plan import Plan
from prelisten.media.protocol import (
    BLOCK,
    END,
    FAILURE,
    HEADER,
    MAX_BLOCK_BYTES,
    MAX_JSON_BYTES,
    PREFIX,
    START,
)
from wasm_detector.hint import Reason

log = logging.getLogger(__name__)

# `-P`: the working folder must not lend a module.
CHILD = ("-P", "-m", "prelisten.media.child")
PIPE_BYTES = 1 << 20
MAX_STDERR_BYTES = 8_000
TICK_S = 0.1
# A header may promise a little more than the encoder wrote (padding, rounding).
TRUNCATION_TOLERANCE_S = 0.25
# Seconds in which the channels cancel each other; less than one happens in any stereo recording.
CANCELLED_S = 1.0
# What the environment passes on: where the libraries are, never a secret.
PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL")

Mono = NDArray[np.float32]
ShortText = Annotated[str, Field(max_length=200)]
Seconds = Annotated[float, Field(ge=0, le=MAX_LENGTH_S, allow_inf_nan=False)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Said = TypeVar("Said", bound=_Said)


class Facts(_Said):
    """What the child says before it decodes. `claimed_s` is what the header says, `total_s` what is there.

    `exact` are the container's facts as a claim has them, `read_by` who reads the samples of such a file in a browser.
    """

    format: ShortText
    codec: ShortText
    sample_rate: float = Field(ge=4_000, le=192_000)
    channels: int = Field(ge=1, le=64)
    total_s: Seconds | None
    claimed_s: Seconds | None
    encoder: ShortText | None
    other_tracks: int = Field(0, ge=0)
    exact: Annotated[dict[ShortText, int], Field(max_length=8)] = {}
    read_by: ShortText = "none"
    isolation: dict[ShortText, bool]


class Ending(_Said):
    """What the child says after it has decoded."""

    end_frame: Annotated[int, Field(ge=0)] | None = None
    is_longer: bool = False
    damaged: Annotated[int, Field(ge=0)] = 0
    cancelled: Annotated[int, Field(ge=0)] = 0
    exact: Annotated[dict[ShortText, int], Field(max_length=16)] = {}


@dataclass
class Recording:
    """A recording that is being listened to. Read `blocks` once, to the end; then the other words are final.

    `plan` says what is listened to. `cut_short` is the code of the limit that ended the decoding early, with some of
    the recording heard.
    """

    facts: Facts
    _child: _Child
    plan: Plan = field(default_factory=Plan)
    size_bytes: int = 0
    ending: Ending | None = None
    cut_short: str | None = None
    n_samples: int = 0
    # When listening has to end, on the monotonic clock, however slow the listener is; `None` = never.
    ends_at: float | None = None
    # Seconds that the listener waited for the decoder, which works beside it.
    waited_s: float = 0.0

    @property
    def sample_rate(self) -> float:
        """Hz, the recording's own."""
        return self.facts.sample_rate

    @property
    def total_s(self) -> float | None:
        """Length in seconds, `None` while it is not known; once the end was heard, where that was.

        Of a truncated recording it is what the file states, so that the coverage shows what is missing.
        """
        if self.ending and self.ending.end_frame is not None and not self._is_truncated:
            return self.ending.end_frame / self.sample_rate
        return self._stated_s if self._is_truncated else self.facts.total_s

    @property
    def _stated_s(self) -> float:
        return max(self.facts.claimed_s or 0.0, self.facts.total_s or 0.0)

    @property
    def _is_truncated(self) -> bool:
        end = self.ending.end_frame if self.ending else None
        return end is not None and end / self.sample_rate < self._stated_s - TRUNCATION_TOLERANCE_S

    @property
    def container(self) -> dict[str, Any]:
        """What the file says about itself: hearsay, as plain data."""
        return self.facts.model_dump(exclude={"exact", "read_by"})

    @property
    def found_s(self) -> float | None:
        """Length in seconds of what can be played: where the end was met, else as far as it is known."""
        if self.ending and self.ending.end_frame is not None:
            return self.ending.end_frame / self.sample_rate
        return self.facts.total_s

    @property
    def is_end_found(self) -> bool:
        """Whether decoding met the end, so that the length is no header's word."""
        return self.ending is not None and self.ending.end_frame is not None

    @property
    def exact(self) -> dict[str, int]:
        """What a claim's `exact` group must be: the container's facts, and the sums of what was read of plain PCM."""
        return {**self.facts.exact, **(self.ending.exact if self.ending else {})}

    def blocks(self) -> Iterator[tuple[int, Mono]]:
        """Yield (first frame, mono float32 samples at the recording's own rate), in order.

        Raises `MediaError` when the decoder fails before the first sample; after that a failure ends the
        blocks and `cut_short` names it.
        """
        try:
            for kind, payload in self._waited_for(self._child.messages()):
                if self.ends_at is not None and time.monotonic() > self.ends_at:
                    raise media_error("decode_timeout")
                if kind == BLOCK:
                    start, samples = self._block(payload)
                    self.n_samples += samples.size
                    yield start, samples
                elif kind == END:
                    self.ending = _parse(Ending, payload)
                    if self.ending.damaged and not self.n_samples:
                        raise media_error("damaged")
                    return
                else:
                    raise media_error(_code_of(payload) if kind == FAILURE else "decoder_failed")
        except MediaError as error:
            if not self.n_samples:
                raise
            self.cut_short = error.code

    def _waited_for(self, messages: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        while True:
            start = time.monotonic()
            message = next(messages, None)
            self.waited_s += time.monotonic() - start
            if message is None:
                return
            yield message

    def _block(self, payload: bytes) -> tuple[int, Mono]:
        (start,) = START.unpack_from(payload)
        size = len(payload) - START.size
        if size % 4 or self.n_samples + size // 4 > self._child.limits.max_output_samples:
            raise media_error("decoder_failed")
        return start, np.frombuffer(payload, dtype="<f4", offset=START.size)

    @property
    def is_partial(self) -> bool:
        """Whether a part of what the file holds, or says that it holds, was not heard."""
        return bool(self.notes)

    @property
    def notes(self) -> tuple[Reason, ...]:
        """Reasons without weight: what was missing, damaged or cut short."""
        ending, notes = self.ending or Ending(), []
        if self._is_truncated and ending.end_frame is not None:
            found_s = ending.end_frame / self.sample_rate
            params = {"found_s": round(found_s, 1), "claimed_s": round(self._stated_s, 1)}
            notes.append(Reason("TRUNCATED", params=params))
        if ending.is_longer:
            notes.append(Reason("LENGTH_MISSTATED"))
        if ending.damaged:
            notes.append(Reason("DAMAGED", params={"places": ending.damaged}))
        if (cancelled_s := ending.cancelled / self.sample_rate) >= CANCELLED_S:
            notes.append(Reason("CHANNELS_CANCEL", params={"seconds": round(cancelled_s, 1)}))
        if self.facts.other_tracks:
            notes.append(Reason("OTHER_TRACKS", params={"tracks": self.facts.other_tracks}))
        if self.cut_short:
            notes.append(Reason("DECODE_LIMIT", params={"code": self.cut_short}))
        return tuple(notes)


@contextlib.contextmanager
def listen(
    path: Path,
    config: Config | None = None,
    *,
    plan: Plan | None = None,
    cancelled: threading.Event | None = None,
    within_s: float | None = None,
) -> Iterator[Recording]:
    """Open a recording for listening; its decoder ends with the `with` block.

    `plan` says what is listened to; without one a long recording is heard in the detector's own windows.

    The decoder's own clock counts only how long it is waited for. `within_s` bounds the listener's time too: what
    was heard by then is kept, and the rest is cut short.

    Raises `MediaError` (with code, state and advice) when it cannot be heard at all, `StorageError` when the
    file itself cannot be opened, `Cancelled` when the event is set meanwhile.
    """
    limits = DecodeLimits.from_config(config) if config else DecodeLimits()
    plan = plan or Plan(limits.max_seconds)
    ends_at = None if within_s is None else time.monotonic() + within_s
    try:
        with _plain_file(path) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            child = _Child(file, limits, plan, cancelled or threading.Event())
    except OSError as error:
        raise StorageError(f"The recording cannot be opened, or no decoder be started ({error}).") from error
    try:
        yield Recording(_header(child), child, plan, size_bytes, ends_at=ends_at)
    finally:
        child.kill()


def _plain_file(path: Path) -> IO[bytes]:
    """Open a file for reading; raises `OSError`, also for what is none: a pipe or a device may never end."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115 - the caller closes it.
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path} is not a plain file")
    return file


def _header(child: _Child) -> Facts:
    kind, payload = next(child.messages(), (FAILURE, b"{}"))
    if kind == HEADER:
        return _parse(Facts, payload)
    raise media_error(_code_of(payload) if kind == FAILURE else "decoder_failed")


def _parse(kind: type[Said], payload: bytes) -> Said:
    """Check what the child said: it read a stranger's bytes, and may say anything by now."""
    try:
        return kind.model_validate_json(payload)
    except ValidationError as error:
        raise media_error("decoder_failed") from error


def _code_of(payload: bytes) -> str:
    try:
        return str(json.loads(payload)["code"])
    except (ValueError, TypeError, KeyError):
        return "decoder_failed"


class _Child:
    """The process, its two pipes and its clock. Only waiting for the child counts as decoding time."""

    def __init__(self, file: IO[bytes], limits: DecodeLimits, plan: Plan, cancelled: threading.Event) -> None:
        self.limits = limits
        self._cancelled = cancelled
        self._left_s = limits.timeout_s
        self._stderr = bytearray()
        self._buffer = bytearray()
        request = json.dumps({"limits": limits.to_dict(), "plan": plan.to_dict(), "parent": os.getpid()})
        self._process = subprocess.Popen(
            [sys.executable, *CHILD, request],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
            bufsize=0,
        )
        self._selector = selectors.DefaultSelector()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                self._selector.register(pipe, selectors.EVENT_READ)

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (kind, payload). Raises `MediaError` on the clock, a crash or nonsense; `Cancelled`."""
        while True:
            self._fill(PREFIX.size)
            kind, size = PREFIX.unpack_from(self._buffer)
            is_block = kind == BLOCK
            if (
                not (START.size if is_block else 2)
                <= size
                <= (MAX_BLOCK_BYTES if is_block else MAX_JSON_BYTES)
            ):
                raise media_error("decoder_failed")
            self._fill(PREFIX.size + size)
            payload = bytes(self._buffer[PREFIX.size : PREFIX.size + size])
            del self._buffer[: PREFIX.size + size]
            yield kind, payload

    def _fill(self, size: int) -> None:
        """Read until the buffer holds `size` bytes."""
        stdout = self._process.stdout
        while len(self._buffer) < size:
            if self._cancelled.is_set():
                raise Cancelled("Listening was called off.")
            began = time.monotonic()
            ready = self._selector.select(min(TICK_S, max(self._left_s, 0)))
            self._left_s -= time.monotonic() - began
            if not ready and self._left_s <= 0:
                raise media_error("decode_timeout")
            for key, _ in ready:
                data = os.read(key.fd, PIPE_BYTES)
                if key.fileobj is not stdout:
                    self._hear_complaint(key.fileobj, data)
                elif data:
                    self._buffer += data
                else:
                    raise media_error(self._how_it_died())

    def _hear_complaint(self, pipe: Any, data: bytes) -> None:
        """Keep the first lines of standard error; read the rest away, so that the child cannot block on it."""
        self._stderr += data[: MAX_STDERR_BYTES - len(self._stderr)]
        if not data:
            self._selector.unregister(pipe)

    def _how_it_died(self) -> str:
        """Return the failure's code for a child that ended without a word."""
        try:
            status = self._process.wait(timeout=max(self._left_s, TICK_S))
        except subprocess.TimeoutExpired:
            return "decode_timeout"
        log.warning("the decoder ended with status %d: %s", status, bytes(self._stderr[-500:]))
        if status == -signal.SIGXCPU:
            return "decode_timeout"
        # A library that gets no memory says so in many ways, or is killed for it.
        words = bytes(self._stderr).lower()
        if any(
            hint in words
            for hint in (b"memoryerror", b"failed to map segment", b"cannot allocate", b"bad_alloc")
        ):
            return "out_of_memory"
        return "decoder_failed"

    def kill(self) -> None:
        """End the child and all that it may have started."""
        if self._process.returncode is None:  # Not reaped yet, so the number is still its own.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._selector.close()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def _environment() -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed_on, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
