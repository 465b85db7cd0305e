"""What every reader counts, and how its blocks are joined."""

from __future__ import annotations

import numpy as np
import pytest

from prelisten.media.readers import UnreadableError, joined
from prelisten.media.readers.reader import Reading


def block(start: int, size: int) -> tuple[int, np.ndarray]:
    return start, np.arange(start, start + size, dtype=np.float32)


def test_blocks_that_follow_each_other_are_joined() -> None:
    """A thousand single samples become a few blocks, at the same places."""
    made = list(joined((block(at, 1) for at in range(1000)), 300))
    assert [(start, samples.size) for start, samples in made] == [
        (0, 300),
        (300, 300),
        (600, 300),
        (900, 100),
    ]
    np.testing.assert_array_equal(np.concatenate([samples for _, samples in made]), np.arange(1000))


def test_gap_ends_a_joined_block() -> None:
    """Two windows stay two stretches."""
    made = list(joined([block(0, 10), block(10, 10), block(500, 10)], 300))
    assert [(start, samples.size) for start, samples in made] == [(0, 20), (500, 10)]


def test_what_was_read_before_an_error_is_given_first() -> None:
    """A decoder that fails late must not take with it what came before."""

    def failing():
        yield block(0, 10)
        raise UnreadableError("damaged")

    made = joined(failing(), 300)
    assert next(made)[1].size == 10
    with pytest.raises(UnreadableError, match="damaged"):
        next(made)


SPEECH = np.sin(np.arange(16_000) / 9).astype("f4")
OTHER = np.sin(np.arange(16_000) / 7).astype("f4")


@pytest.mark.parametrize(
    ("channels", "cancelled"),
    [
        ([SPEECH], 0),
        ([SPEECH, SPEECH], 0),
        ([SPEECH, OTHER], 0),
        ([SPEECH, 0 * SPEECH], 0),
        ([0 * SPEECH] * 5 + [SPEECH], 0),
        ([SPEECH, -SPEECH], 16_000),
        ([SPEECH, -0.9 * SPEECH], 16_000),
        ([0.05 * OTHER + SPEECH, 0.05 * OTHER - SPEECH], 16_000),
        ([1e-5 * SPEECH, -1e-5 * SPEECH], 0),
        ([np.full(9, np.nan), np.full(9, np.nan)], 0),
    ],
)
def test_only_channels_that_work_against_each_other_count(channels: list, cancelled: int) -> None:
    """A voice in one channel of six is no trick, left against right is."""
    reading = Reading()
    reading.mixed(np.stack(channels))
    assert reading.cancelled == cancelled
