"""The decoding child: `python -m prelisten.media.child LIMITS`, the recording on standard input.

It never learns the recording's name or place. It writes the messages of `protocol` to standard output and exits
with 0 when it could say how it went.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO

import av

from prelisten.media.limits import MAX_LENGTH_S, DecodeLimits
from prelisten.media.plan import Plan, in_frames
from prelisten.media.plan import joined as joined_stretches
from prelisten.media.protocol import END, FAILURE, HEADER, pack_block, pack_json
from prelisten.media.readers import Reader, UnreadableError, joined, open_reader
from prelisten.media.sandbox import (
    close_behind,
    die_with_parent,
    import_everything,
    isolate,
    limit_resources,
)
from wasm_detector.browser import reader_of
from wasm_detector.container import Container, identify

HEAD_BYTES = 1 << 20
RECORDING = 0  # standard input
# How much is said at once; a message may hold a second of the highest rate.
BLOCK_S = 0.9


def main(arguments: list[str]) -> int:
    """Give up rights, decode, and say how it went."""
    request = json.loads(arguments[1])
    limits = DecodeLimits(**request["limits"])
    plan = Plan.from_dict(request["plan"])
    die_with_parent(request["parent"])
    import_everything([av], ["ascii", "latin-1", "utf-8"])
    limit_resources(limits)
    isolation = isolate()
    die_with_parent(request["parent"])
    isolation = close_behind(isolation)
    out = sys.stdout.buffer
    try:
        decode(RECORDING, limits, isolation, out, plan)
    except UnreadableError as error:
        out.write(pack_json(FAILURE, {"code": error.code}))
    except MemoryError:
        out.write(pack_json(FAILURE, {"code": "out_of_memory"}))
    except BrokenPipeError:
        os._exit(0)  # The parent has heard enough.
    out.flush()
    return 0


def decode(
    descriptor: int,
    limits: DecodeLimits,
    isolation: dict[str, bool],
    out: BinaryIO,
    plan: Plan | None = None,
) -> None:
    """Write header, blocks and end. Raises `UnreadableError` with a code of `failures`."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        raise UnreadableError("empty")
    container = identify(os.pread(descriptor, HEAD_BYTES, 0), size)
    reader = open_reader(descriptor, container, lambda rate, channels: check_shape(rate, channels, limits))
    plan = plan or Plan(limits.max_seconds)
    windows = in_frames(plan.wanted(length_s(reader)), reader.sample_rate)
    if sum(end - start for start, end in windows) > limits.max_output_samples:
        raise UnreadableError("too_long")
    out.write(pack_json(HEADER, {**describe(container, reader), "isolation": isolation}))
    for start, samples in joined(reader.blocks(windows), int(reader.sample_rate * BLOCK_S)):
        out.write(pack_block(start, samples.tobytes()))
    out.write(pack_json(END, ending(reader, plan)))


def check_shape(sample_rate: float, channels: int, limits: DecodeLimits) -> None:
    """Refuse impossible rates and channels before anything is decoded. Raises `UnreadableError`."""
    if not limits.min_rate_hz <= sample_rate <= limits.max_rate_hz:
        raise UnreadableError("rate_out_of_range")
    if not 1 <= channels <= limits.max_channels:
        raise UnreadableError("too_many_channels")


def length_s(reader: Reader) -> float | None:
    """Return the recording's length in seconds as far as known."""
    return None if reader.n_frames is None else possible_s(reader.n_frames / reader.sample_rate)


def possible_s(seconds: float | None) -> float | None:
    """Return a length that can be meant, `None` for any other: packets may state any time, before 0 too."""
    return seconds if seconds is not None and 0 <= seconds <= MAX_LENGTH_S else None


def describe(container: Container, reader: Reader) -> dict[str, Any]:
    """Return what is known before decoding; texts that the file itself brings are cut short."""
    return {
        "format": container.format,
        "codec": reader.codec,
        "sample_rate": reader.sample_rate,
        "channels": reader.channels,
        "total_s": length_s(reader),
        "claimed_s": possible_s(reader.claimed_s),
        "encoder": None if container.encoder is None else container.encoder[:200],
        "other_tracks": reader.other_tracks,
        "exact": container.facts,
        "read_by": reader_of(container),
    }


def ending(reader: Reader, plan: Plan) -> dict[str, Any]:
    """Return what is known only after decoding. The sums are over what a claim is about, where the plan says so."""
    besides = in_frames(joined_stretches(plan.besides), reader.sample_rate)
    return {
        "end_frame": reader.end_frame,
        "is_longer": reader.is_longer,
        "damaged": reader.damaged,
        "cancelled": reader.cancelled,
        "exact": reader.sums(besides) if besides else reader.exact,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv))
