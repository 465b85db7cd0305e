"""The only door to Pyodide: JavaScript buffers in, plain dictionaries out. Everything else is ordinary Python."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from dataclasses import asdict, replace
from importlib import import_module
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from wasm_detector import VERSION
from wasm_detector.container import Container, WavLayout, identify
from wasm_detector.errors import ExtensionError, InvalidWaveformError
from wasm_detector.hint import Reason, claim_of
from wasm_detector.model import Model, detector_id, load_model
from wasm_detector.peaks import Peaks
from wasm_detector.provenance import provenance
from wasm_detector.reasons import EXTENSION_FAILED, signal_codes
from wasm_detector.rolling import Rolling
from wasm_detector.scoring import score_segment
from wasm_detector.streaming import SEGMENT_S, Stream
from wasm_detector.wav import ExactSums, decode_frames
from wasm_detector.waveform import MAX_RATE, MIN_RATE, fixed_sound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wasm_detector.extensions import Loaded

MAX_SECONDS = 120.0
LIVE_S = 3_600.0
"""What is still being recorded is heard for so long; recorders end sooner."""
installed: dict[str, tuple[Loaded, ...]] = {}
"""The operator's own signals that are here, by the SHA-256 of their wheel."""


def _raw(buffer: Any) -> bytes:
    """Copy a JavaScript ArrayBuffer or typed array (or any Python buffer) into bytes."""
    return buffer.to_bytes() if hasattr(buffer, "to_bytes") else bytes(memoryview(buffer).cast("B"))


def describe() -> dict[str, Any]:
    """Return what this detector is; `requires` are the extensions without which it scores nothing."""
    return {
        "id": detector_id(),
        "version": VERSION,
        "max_seconds": MAX_SECONDS,
        "requires": [asdict(one) for one in load_model().requires],
    }


def settle() -> None:
    """Read and import what a screening needs later: from now on it opens no file, so a snapshot of memory is whole."""
    import_module("numpy.fft")
    if load_model().requires:
        import_module("wasm_detector.extensions")
    signal_codes()


class _Zero:
    """In an operator's own signal's place."""

    api, unit = 1, ""
    title: Mapping[str, str] = MappingProxyType({})
    sentence: Mapping[str, str] = MappingProxyType({})

    def measure(self, samples: NDArray[np.float32]) -> float:
        """Return 0, whatever the samples."""
        return 0.0


def golden() -> str:
    """Return every number that the detector makes of a fixed sound: equal texts mean equal arithmetic.

    0.6 s of it: it is short because a person may wait for it. What an operator's own signals would measure is taken for
    0: their wheels may not be here yet.
    """
    model = load_model()
    if model.requires:
        model = replace(model, own={one.name: _Zero() for one in model.requires})
    score = score_segment(fixed_sound(9_600), start_s=0.0, end_s=0.6, model=model)
    return repr((score.contributions.tolist(), score.values.tolist(), score.speech_logit, score.speech_s))


class FileDigest:
    """SHA-256 of a file fed slice by slice (`crypto.subtle` wants it whole)."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, buffer: Any) -> None:
        """Add the next slice."""
        self._digest.update(_raw(buffer))

    def hexdigest(self) -> str:
        """Return the digest of what was fed so far."""
        return self._digest.hexdigest()


def _checked(buffer: Any, sha256: str, file_name: str) -> bytes:
    raw = _raw(buffer)
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise ExtensionError(f"{file_name} is not the file that the server lists. It was left out.")
    return raw


def add_installer(buffer: Any, file_name: str, sha256: str) -> None:
    """Put micropip's own wheel, or what it depends on, where Python finds it."""
    folder = sysconfig.get_path("purelib")
    with ZipFile(BytesIO(_checked(buffer, sha256, file_name))) as wheel:
        wheel.extractall(folder)
    if folder not in sys.path:
        sys.path.append(folder)


async def install_extension(buffer: Any, file_name: str, sha256: str) -> None:
    """Install an operator's wheel by micropip, which looks for nothing elsewhere; once for each digest.

    Raises `ExtensionError` for other bytes than those of `sha256`, and for a wheel without a usable extension.
    """
    if sha256 in installed:
        return
    raw = _checked(buffer, sha256, file_name)
    micropip = import_module("micropip")  # There since `add_installer`, and in a browser alone.
    from wasm_detector.extensions import load_named

    name, version = file_name.split("-")[:2]
    with TemporaryDirectory() as folder:
        wheel = Path(folder) / file_name
        wheel.write_bytes(raw)
        await micropip.install(f"emfs:{wheel}", deps=False)
    installed[sha256] = load_named(name, version)


def reader_of(found: Container) -> str:
    """Say who reads the samples: this code (`wav`), a decoder of the browser (`page`) or nobody (`none`)."""
    if found.wav is not None and MIN_RATE <= found.wav.sample_rate <= MAX_RATE:
        return "wav"
    if found.sample_rate is not None and not MIN_RATE <= found.sample_rate <= MAX_RATE:
        return "none"
    return "none" if found.format == "unknown" else "page"


def probe(head: Any, size: int, later: Any = b"") -> dict[str, Any]:
    """Return what the first bytes (up to 1 MiB) of a file of `size` bytes say, and who can read it.

    `later` are boxes of an MP4 that lie behind these, for what they note.

    `predicted_pcm_bytes` is what decoding the whole to float32 would take, `None` when the file does not say.
    """
    first = _raw(head)
    found = identify(first, int(size))
    layout = found.wav
    predicted = None
    if found.duration_s is not None and found.sample_rate:
        predicted = round(found.duration_s * found.sample_rate) * (found.channels or 2) * 4
    return {
        "format": found.format,
        "codec": found.codec,
        "sample_rate": found.sample_rate,
        "channels": found.channels,
        "duration_s": found.duration_s,
        "reader": reader_of(found),
        "facts": found.facts,
        "data_offset": layout.data_offset if layout else None,
        "n_frames": layout.n_frames if layout else None,
        "frame_bytes": layout.frame_bytes if layout else None,
        "sample_format": layout.sample_format if layout else None,
        "predicted_pcm_bytes": predicted,
        "provenance": provenance(first, found, _raw(later)),
    }


def _plain(value: Any) -> Any:
    """Return a JavaScript object as plain data; what is plain stays as it is."""
    return value.to_py() if hasattr(value, "to_py") else value


def layout_of(probed: Any) -> WavLayout:
    """Return the layout inside a `probe` result, as it comes back from JavaScript."""
    plain = _plain(probed)
    return WavLayout(
        data_offset=int(plain["data_offset"]),
        n_frames=int(plain["n_frames"]),
        frame_bytes=int(plain["frame_bytes"]),
        sample_format=str(plain["sample_format"]),
        channels=int(plain["channels"]),
        sample_rate=int(plain["sample_rate"]),
    )


def _equipped() -> Model:
    """Return the model with what it requires of the installed extensions. Raises `ModelError` where it lacks one."""
    model = load_model()
    if not model.requires:
        return model
    from wasm_detector.extensions import equip

    return equip(model, installed)


def _observer(wanted: Any, model: Model) -> Any:
    """Return what hears with the extensions that are `wanted`, `None` without any (and nothing is imported).

    Those that the model weighs are no matter of its.
    """
    heard = [one for each in wanted for one in installed.get(each["sha256"], ())]
    loaded = [one for one in heard if one.name not in model.own]
    if not loaded:
        return None
    from wasm_detector.extensions import Observer

    return Observer(loaded)


def _missing(wanted: Any) -> list[Reason]:
    """Return a reason for each of the `wanted` that is not installed. What installs them may be missing as well."""
    names = [str(each["name"]) for each in wanted if each["sha256"] not in installed]
    return [Reason(EXTENSION_FAILED, params={"name": name, "problem": "not_installed"}) for name in names]


class _Follower:
    """Brings the rolling band up to the segments that a stream has finished."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rolling = Rolling(stream.model)
        self._n_taken = 0

    def look(self) -> dict[str, Any]:
        """Return what may be shown now, {"band", "speech_s"}, as `hint`; `None` as long as there is nothing."""
        segments = self._stream.segments
        for score in segments[self._n_taken :]:
            self._rolling.add(score)
        self._n_taken = len(segments)
        return {"hint": self._rolling.to_dict()}


class Analysis:
    """One recording being listened to. `wav` is the result of `probe` when its reader is `wav`.

    `facts` are those of `probe`; they stand in the claim's `exact` group beside the sums. `extensions` are those to
    hear with, {"name", "sha256"} each; one that is not installed is told as such. The claim says nothing of them.
    """

    def __init__(
        self,
        sample_rate: float,
        total_s: float | None = None,
        max_seconds: float = MAX_SECONDS,
        wav: Any = None,
        facts: Any = None,
        extensions: Any = (),
    ) -> None:
        model = _equipped()
        wanted = _plain(extensions) or ()
        self._missing = _missing(wanted)
        self._observer = _observer(wanted, model)
        self._stream = Stream(
            float(sample_rate),
            total_s=total_s,
            max_seconds=float(max_seconds),
            model=model,
            observe=self._observer.hear if self._observer else None,
        )
        self._follower = _Follower(self._stream)
        self._layout = layout_of(wav) if wav is not None else None
        self._sums = ExactSums()
        heard = self._stream.windows[-1][1] if total_s is None else round(total_s * self._stream.sample_rate)
        self._peaks = Peaks(sum(max(0, min(end, heard) - start) for start, end in self._stream.windows))
        self._facts = {
            str(name): int(value) for name, value in ({} if facts is None else _plain(facts)).items()
        }

    def windows(self) -> list[list[int]]:
        """Return the [start, end) frames to be fed, in order."""
        return [list(window) for window in self._stream.windows]

    def push(self, buffer: Any, start_frame: int) -> dict[str, Any]:
        """Take mono float32 samples whose first is frame `start_frame`; return `analysed_s` and the rolling `hint`."""
        return self._push(np.frombuffer(_raw(buffer), np.float32), int(start_frame))

    def push_wav(self, buffer: Any, start_frame: int) -> dict[str, Any]:
        """Take raw bytes of whole frames of a WAV, and return the same."""
        if self._layout is None:
            raise InvalidWaveformError(
                "Raw bytes need the layout: give Analysis the probe's result as `wav`."
            )
        samples, sums = decode_frames(_raw(buffer), self._layout)
        self._sums += sums
        return self._push(samples, int(start_frame))

    def _push(self, samples: NDArray[np.float32], start: int) -> dict[str, Any]:
        analysed_s = self._stream.push(samples, start=start)
        self._peaks.add(samples, start)
        return {"analysed_s": analysed_s, **self._follower.look()}

    def peek(self) -> dict[str, Any]:
        """Return the rolling result of what was heard so far."""
        return self._stream.hint().to_dict()

    def peaks(self) -> dict[str, Any]:
        """Return the outline of what was pushed: its windows in seconds, and the bytes of `Peaks`."""
        rate = self._stream.sample_rate
        windows = [[start / rate, end / rate] for start, end in self._peaks.windows]
        return {"windows": windows, "values": self._peaks.to_bytes()}

    def finish(self) -> dict[str, Any]:
        """Return the result and the detector's part of the claim."""
        hint = self._stream.finish()
        sums = self._sums.to_dict() if self._layout else {}
        result = hint.to_dict()
        measured = self._observer.reasons() if self._observer else ()
        result["reasons"] += [reason.to_dict() for reason in (*measured, *self._missing)]
        return {"result": result, "claim": claim_of(hint, {**self._facts, **sums})}


class Live:
    """A recording that is still being made. Only its rolling band is told; the finished file is heard anew.

    Every `SEGMENT_S` are a window of their own, so that they are judged as soon as they are there.
    """

    def __init__(self, sample_rate: float) -> None:
        n_segment = round(SEGMENT_S * float(sample_rate))
        starts = range(0, round(LIVE_S / SEGMENT_S) * n_segment, n_segment)
        self._stream = Stream(
            float(sample_rate),
            model=_equipped(),
            windows=[(start, start + n_segment) for start in starts],
        )
        self._follower = _Follower(self._stream)
        self._n_heard = 0

    def push(self, buffer: Any) -> dict[str, Any]:
        """Take the mono float32 samples that follow the last ones, and return the rolling `hint`."""
        samples = np.frombuffer(_raw(buffer), np.float32)
        self._stream.push(samples, start=self._n_heard)
        self._n_heard += samples.size
        return self._follower.look()
