"""Compare a claim with the server's own: an exact group, a near group with tolerances, bands with hysteresis.

Never `==` on anything that was a float. Every tolerance stands here. How they were found: 40 recordings of
speech, each as FLAC, MP3, Ogg Vorbis, Ogg Opus, WebM and M4A at 16, 22.05, 44.1 and 48 kHz, decoded by Chromium
156 (`decodeAudioData`) and by this server. All 240 had the same length; samples differed by up to 2.7e-5, `q` by
up to 1, a segment by up to 1, a statistic by up to 1, no band and no set of reasons differed. The margin is for
decoders that we could not run: some cut the end of WebM 24 samples earlier, which moved `q` by up to 38, a segment
by 10 and a statistic by 18. Since then Chromium decodes by WebCodecs, window by window: samples within 1.1e-5 in ten
formats, `q` within 1 in 53 cases (`tests.bench.parity`). A lie that stays within these bounds changes nothing that
anybody sees.
"""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prelisten.records import Recomputed
from wasm_detector.hint import NO_SCORE, Band, Hint, claim_of
from wasm_detector.scoring import MAX_REASONS, MIN_REASON, code_of

# Units: `q` is 1000 x spoof_score, a segment's byte 250 x its score, a statistic 100 x a signal's log-odds.
Q_TOLERANCE = 50
SEGMENT_TOLERANCE = 15
STATISTIC_TOLERANCE = 30
# Log-odds; a band may differ when the score lies this close to the band's edge.
BAND_HYSTERESIS = 0.10
# A segment at the edge of what counts as speech may be judged on one side only.
MAX_ONE_SIDED_SEGMENTS = 1
# Of what is no plain PCM, one more may differ by this much: a sound that begins 4 ms later moves 1 segment in 10 past
# the tolerance (131 recordings), and what another decoder makes of AAC has moved one by 51.
MAX_ODD_SEGMENTS, ODD_TOLERANCE = 1, 55
# Decoders disagree about padding at the end, by up to two AAC frames.
COVERAGE_TOLERANCE_MS = 100
# Where the end was not decoded, the packets tell the length, and an MP3's delay and padding with it: 0.28 s at 8 kHz.
STATED_LENGTH_TOLERANCE_MS = 400

# Of the exact group: what is there only where the browser read plain PCM itself.
SUMS = frozenset({"n_frames", "total", "energy"})


@dataclass(frozen=True, slots=True)
class Own:
    """What the server found out about the same file.

    `hint` is the browser's detector on what the claim says was heard, or on the segments `picked` of it (places in
    `near.seg`; `None`: on all). `exact` is the exact group as it must be; `reader` and `rate_hz` what the browser must
    have decoded with; `total_s` the length of what can be played, which only the packets tell where the end was not
    decoded (`is_end_heard`). `is_doubtful`: the file is damaged, or its rate not the one that it states, so that honest
    decoders may hear different things. `is_rate_stated`: where it is not, `rate_hz` is this server's decoder's, and
    another decoder's (one without spectral band replication halves it) makes the file doubtful, not the claim wrong.
    """

    hint: Hint
    exact: Mapping[str, int]
    size_bytes: int
    reader: str
    rate_hz: float
    total_s: float | None
    is_end_heard: bool = True
    picked: tuple[int, ...] | None = None
    is_doubtful: bool = False
    is_rate_stated: bool = True


def compare(claim: Mapping[str, Any], own: Own) -> tuple[Recomputed, tuple[str, ...]]:
    """Return how the claim compares with what the server found, and the names of the groups that differ.

    Where only the doubtful part of a doubtful file differs, there is no ground to call the claim wrong: `not_run`.
    """
    expected = claim_of(own.hint, own.exact)
    exact = tuple(_exact_differences(claim, own))
    near = tuple(_near_differences(claim, expected, own))
    if exact or near:
        is_doubtful = own.is_doubtful or not _is_same_rate(claim, own)
        is_certain = bool(exact) or not is_doubtful
        return (Recomputed.MISMATCH if is_certain else Recomputed.NOT_RUN), (*exact, *near)
    has_sums = own.picked is None and own.exact.keys() >= SUMS
    is_same = has_sums and all(
        claim[name] == expected[name] for name in ("exact", "near", "q", "band", "reasons")
    )
    return (Recomputed.MATCH if is_same else Recomputed.WITHIN_TOLERANCE), ()


def segment_bytes(text: str) -> bytes | None:
    """Return the bytes of a claim's `near.seg`, `None` for what is no base64."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None


def _exact_differences(claim: Mapping[str, Any], own: Own) -> Iterator[str]:
    """Yield what follows from the bytes alone, whoever decodes them."""
    left_out = SUMS if own.picked is not None else frozenset()  # They are over all that the browser read.
    facts = [
        {name: value for name, value in side.items() if name not in left_out}
        for side in (claim["exact"], own.exact)
    ]
    if facts[0] != facts[1] or claim["file"]["size"] != own.size_bytes:
        yield "exact"
    is_rate_wrong = own.is_rate_stated and not _is_same_rate(claim, own)
    if claim["env"]["decoder"] != own.reader or is_rate_wrong:
        yield "environment"


def _is_same_rate(claim: Mapping[str, Any], own: Own) -> bool:
    return bool(abs(claim["env"]["rate"] - own.rate_hz) < 1)


def _near_differences(claim: Mapping[str, Any], expected: Mapping[str, Any], own: Own) -> Iterator[str]:
    tolerance_ms = COVERAGE_TOLERANCE_MS if own.is_end_heard else STATED_LENGTH_TOLERANCE_MS
    if own.total_s is not None and abs(claim["cov"]["total_ms"] - 1000 * own.total_s) > tolerance_ms:
        yield "coverage"
    n_odd = MAX_ODD_SEGMENTS if own.reader != "wav" else 0
    one_sided = _one_sided_segments(claim["near"]["seg"], expected["near"]["seg"], own.picked, n_odd)
    if one_sided is None or one_sided > MAX_ONE_SIDED_SEGMENTS:
        yield "segments"
    if own.picked is not None:  # The rest is about all of the claim's segments together.
        return
    if claim["band"] != expected["band"] and own.hint.band_margin > BAND_HYSTERESIS:
        yield "band"
    if not _is_near(claim["q"], expected["q"], Q_TOLERANCE):
        yield "q"
    if not _are_all_near(claim["near"]["stat"], expected["near"]["stat"]):
        yield "statistics"
    if not _are_reasons_near(claim, own.hint, may_differ_in_limits=bool(one_sided)):
        yield "reasons"


def _is_near(claimed: int | None, own: int | None, tolerance: int) -> bool:
    if claimed is None or own is None:
        return claimed is own
    return abs(claimed - own) <= tolerance


def _are_all_near(claimed: Sequence[int], own: Sequence[int]) -> bool:
    return len(claimed) == len(own) and all(
        _is_near(a, b, STATISTIC_TOLERANCE) for a, b in zip(claimed, own, strict=True)
    )


def _one_sided_segments(
    claimed_text: str, own_text: str, picked: Sequence[int] | None, n_odd: int
) -> int | None:
    """Return how many segments one side alone judged; `None` where more than `n_odd` of the others are not near."""
    claimed, own = segment_bytes(claimed_text), segment_bytes(own_text)
    if claimed is None or own is None:
        return None
    if picked is not None:
        if picked[-1] >= len(claimed):
            return None
        claimed = bytes(claimed[place] for place in picked)
    if len(claimed) != len(own):
        return None
    pairs = list(zip(claimed, own, strict=True))
    apart = sorted(abs(a - b) for a, b in pairs if NO_SCORE not in (a, b))
    near, odd = apart[: len(apart) - n_odd], apart[len(apart) - n_odd :]
    if max(near, default=0) > SEGMENT_TOLERANCE or max(odd, default=0) > ODD_TOLERANCE:
        return None
    return sum((a == NO_SCORE) != (b == NO_SCORE) for a, b in pairs)


def _are_reasons_near(claim: Mapping[str, Any], own: Hint, *, may_differ_in_limits: bool) -> bool:
    """Return whether the claim gives the reasons that follow from the server's own numbers.

    A reason of a signal may be missing or there, and two may change places, when their weights lie within the
    statistics' tolerance of the line that decides. What could not be judged may differ where a segment does.
    """
    weights: dict[str, float] = {}
    for signal in own.signals:
        weights[code_of(signal.name)] = max(signal.weight, weights.get(code_of(signal.name), signal.weight))
    given = list(claim["reasons"])
    signals = [code for code in given if code in weights]
    limits = [code for code in given if code not in weights]
    own_signals = [reason.code for reason in own.reasons if reason.code in weights]
    own_limits = [reason.code for reason in own.reasons if reason.code not in weights]
    if given != signals + limits or len(set(given)) != len(given):
        return False
    if signals and claim["band"] not in (Band.ELEVATED, Band.HIGH):
        return False
    if limits != own_limits and not (may_differ_in_limits and len(set(limits) ^ set(own_limits)) <= 1):
        return False
    if claim["band"] != own.band.value and bool(signals) != bool(own_signals):
        return True  # Below the lowest edge no signal is named, and the score is at that edge.
    slack = STATISTIC_TOLERANCE / 100
    ranked = sorted(weights.values(), reverse=True)
    line = max([MIN_REASON, *ranked[MAX_REASONS : MAX_REASONS + 1]])
    lowest = max([MIN_REASON, *ranked[MAX_REASONS - 1 : MAX_REASONS]])
    are_placed = all(
        weights[before] >= weights[after] - 2 * slack for before, after in itertools.pairwise(signals)
    )
    are_excused = all(
        weights[code] >= lowest - slack if code in signals else weights[code] <= line + slack
        for code in set(signals) ^ set(own_signals)
    )
    return are_placed and are_excused and len(signals) <= MAX_REASONS
