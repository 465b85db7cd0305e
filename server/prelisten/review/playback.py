"""Where a place of the recording lies in what a reviewer hears.

Of a long recording only windows are scored, and the playback is exactly what was scored: the windows, one after
another. So 12:00 of the recording may be 0:20 of the playback.
"""

from __future__ import annotations

from collections.abc import Sequence


def playback_time(seconds: float, stretches: Sequence[tuple[float, float]]) -> float:
    """Return the place in the playback, in seconds, of a place in the recording.

    `stretches` are the scored (start, end) in seconds of the recording, in order and without overlap. A place
    between two of them falls on the start of the next one; a place after the last one on its end.
    """
    played = 0.0
    for start, end in stretches:
        if seconds < end:
            return played + max(0.0, seconds - start)
        played += end - start
    return played
