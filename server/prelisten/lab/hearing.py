"""Hear one file as the server does: its own decoding child, then the detector."""

from __future__ import annotations

from pathlib import Path

import soundfile

from prelisten.checks import load_forensic_model
from prelisten.checks.additions import equipped
from prelisten.config import Config
from prelisten.errors import MediaError
from prelisten.media.listen import listen
from prelisten.wheels import listed_wheels
from wasm_detector.errors import DetectorError, InvalidWaveformError
from wasm_detector.hint import Hint
from wasm_detector.model import Model, load_model
from wasm_detector.screening import screen
from wasm_detector.streaming import Stream

TIERS = ("client", "server")
"""The browser's detector, and the server's forensic one."""


def model_of(tier: str, config: Config | None = None) -> Model:
    """Return the tier's model. Raises `ModelError` when the package lacks it, or a signal that it was trained with."""
    model = load_forensic_model() if tier == "server" else load_model()
    return equipped(model, listed_wheels(config.extensions if config else None))


LOCAL_SUFFIXES = (".flac", ".wav")
"""What `hear_trusted` reads in this process: one child a clip would cost minutes over a corpus."""


def hear_file(
    path: Path, config: Config, model: Model | None = None, *, within_s: float | None = None
) -> Hint:
    """Return the hint for a file of unknown origin; of what was heard within so many seconds, when given.

    Raises `MediaError`, `StorageError` or `DetectorError`.
    """
    with listen(path, config, within_s=within_s) as recording:
        stream = Stream(
            recording.sample_rate, total_s=recording.total_s, max_seconds=config.max_seconds, model=model
        )
        for start, samples in recording.blocks():
            stream.push(samples, start=start)
        stream.total_s = recording.total_s  # Only now is the real length known.
        try:
            return stream.finish()
        except InvalidWaveformError as error:
            raise MediaError(str(error), code="no_samples") from error


def hear_trusted(path: Path, config: Config, model: Model | None = None) -> Hint:
    """Return the hint for one's own file: WAV and FLAC are read here, the rest as `hear_file` does."""
    if path.suffix.lower() not in LOCAL_SUFFIXES:
        return hear_file(path, config, model)
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise MediaError(f"{path} cannot be read: {error}", code="not_audio") from error
    return screen(samples.mean(axis=1), rate, max_seconds=config.max_seconds, model=model)


FAILURES = (MediaError, DetectorError, OSError)
"""What hearing a file may raise, for loops that go on with the next one."""
