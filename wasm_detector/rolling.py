"""The band of a recording that is still being heard: rough, and steady enough to be shown while it may still change."""

from __future__ import annotations

from wasm_detector.hint import Band
from wasm_detector.model import Model
from wasm_detector.scoring import SegmentScore, band_margin, band_of, sigmoid

FIRST_SPEECH_S = 2.0
"""Before so much speech was heard nothing is said."""

MARGIN = 0.3
"""A score this close to the edge of a band, in log-odds, says nothing new."""

PATIENCE = 2
"""So many segments in a row must leave the score in another band than the one that was said."""


class Rolling:
    """Takes the scores of the segments in order. The score is that of `scoring.summarise`; the band is slower.

    `band` is `None` until `FIRST_SPEECH_S` of speech could be judged, and never `inconclusive` after that. It moves
    when `PATIENCE` segments in a row have left the score in another band, and not at its edge.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._weighed = 0.0
        self._doubts = 0
        self.speech_s = 0.0
        self.band: Band | None = None

    def add(self, score: SegmentScore) -> None:
        """Take the next segment; one that cannot be judged changes nothing."""
        if score.limit is not None:
            return
        self.speech_s += score.speech_s
        self._weighed += score.speech_s * float(score.contributions.sum())
        if self.speech_s >= FIRST_SPEECH_S:
            self._settle(sigmoid(self._model.bias + self._weighed / self.speech_s))

    def _settle(self, spoof_score: float) -> None:
        band = band_of(spoof_score, self._model)
        is_other = band is not self.band and band_margin(spoof_score, self._model) >= MARGIN
        self._doubts = self._doubts + 1 if is_other else 0
        if self._doubts >= (1 if self.band is None else PATIENCE):
            self.band, self._doubts = band, 0

    def to_dict(self) -> dict[str, str | float] | None:
        """Return what may be shown, `None` as long as there is nothing."""
        return None if self.band is None else {"band": self.band.value, "speech_s": self.speech_s}
