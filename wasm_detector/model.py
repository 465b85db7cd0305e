"""The weights: read from package data, checked, and identified by their digest.

A model is a safetensors file: the length of a JSON header (eight bytes, little-endian), the header, the arrays end to
end. The header tells each array's type, shape and place. Its `__metadata__` holds, as JSON text under `model`, what is
no array: layout, name, version, digest of the training data, thresholds, each part's name, steps and offsets, the same
of the experts, and what is taken off messengers' recordings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wasm_detector import VERSION
from wasm_detector.errors import ModelError

if TYPE_CHECKING:
    from wasm_detector.extensions import Extension

FORMAT = 8
"""Version of the file's layout."""

READABLE = (4, 5, 6, 7, FORMAT)
"""The layouts that are read; another one is refused. A file of layout 4 has no experts; those of layouts 5 to 7 have
one, for noise, which in layout 5 stands in for every signal. Up to layout 6 nothing is taken off messengers'
recordings."""

FILE_NAME = "model.safetensors"

EXPERTS = ("noise", "narrow_band")
"""The names of the experts in the file. No signal has one of them."""

MESSENGER = "messenger"
"""The name of the estimate of a messenger's codec in the file. No signal has it."""

TYPES = {"F64": "<f8", "F32": "<f4", "I8": "i1"}
"""The types of arrays that a file may have, by the format's name, and numpy's."""

CLIP = 3.0
"""Standardised numbers are clipped here, so that one freak number cannot outweigh the rest."""


BLOCK = 1 << 16
"""About so many of the 8-bit numbers become floating-point ones at a time: no whole copy of them is ever made."""


@dataclass(frozen=True, slots=True)
class Part:
    """What the model makes of one signal: two weighted sums of Gaussian bumps around landmarks.

    z = clip((vector - centre) / scale); bump_l = exp(-gamma |z - step * landmark_l|²); the contribution to the
    log-odds of spoof is offset[0] + sum_l weights[0, l] bump_l, and row 1 likewise to the log-odds of
    there being speech. Shapes: centre, scale (k,), landmarks (n_landmarks, k), weights (2, n_landmarks), `norms`
    |landmark_l|². With `directions`, shape=(m, k), z is direction_step * directions @ z, and the landmarks have m
    numbers. Landmarks and directions stay the 8-bit numbers that the file holds.
    """

    name: str
    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    landmarks: NDArray[np.int8]
    step: float
    norms: NDArray[np.float64]
    weights: NDArray[np.floating]
    offset: tuple[float, float]
    gamma: float
    directions: NDArray[np.int8] | None = None
    direction_step: float = 1.0

    def standardise(self, vector: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return z, shape=(k,). Raises `ModelError` for a vector of another length: the signal has changed since."""
        if len(vector) != self.centre.size:
            raise ModelError(
                f"The model knows {self.name} as {self.centre.size} numbers, this code has {len(vector)}. "
                "Train it again."
            )
        return np.clip((np.asarray(vector, dtype=np.float64) - self.centre) / self.scale, -CLIP, CLIP)

    def contribute(self, vector: NDArray[np.floating]) -> tuple[float, float, float]:
        """Return what `vector`, shape=(k,), adds to the log-odds of spoof and of speech, and the highest bump."""
        z = self.standardise(vector)
        if self.directions is not None:
            z = self.direction_step * _times(self.directions, z)
        z = z / self.step
        distances = np.maximum(self.norms - 2.0 * _times(self.landmarks, z) + z @ z, 0.0)
        bumps = np.exp(-self.gamma * self.step**2 * distances)
        spoof, speech = self.weights @ bumps
        return float(spoof) + self.offset[0], float(speech) + self.offset[1], float(bumps.max())


def _blocks(matrix: NDArray[np.int8]) -> Iterator[NDArray[np.float64]]:
    """Yield the rows of `matrix` as floating-point numbers, some at a time."""
    n_rows = max(1, BLOCK // matrix.shape[1])
    for first in range(0, len(matrix), n_rows):
        yield matrix[first : first + n_rows].astype(np.float64)


def _times(matrix: NDArray[np.int8], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `matrix` @ `vector`."""
    return np.concatenate([block @ vector for block in _blocks(matrix)])


@dataclass(frozen=True, slots=True)
class Expert:
    """A part for recordings that something covers, noise or a telephone's narrow band, and an estimate of that.

    It stands in for the others as far as the estimate says, as in a mixture of experts (Jacobs et al. 1991, "Adaptive
    mixtures of local experts"). Both see all signals' numbers. With z as in `Part`, by the centre and scale of `part`,
    it has a share of clip(offset + estimate @ z, 0, most); `estimate`: shape=(k,). Its contribution is the log-odds of
    spoof, but for the model's bias and for the signals named in `unchanged`, which count as ever.
    """

    part: Part
    estimate: NDArray[np.float32]
    offset: float
    most: float
    unchanged: tuple[str, ...] = ()

    def hear(self, vector: NDArray[np.floating]) -> tuple[float, float]:
        """Return the share (0 where nothing is covered), and what `part` makes of `vector`, shape=(k,)."""
        share = min(max(self.offset + float(self.estimate @ self.part.standardise(vector)), 0.0), self.most)
        return share, self.part.contribute(vector)[0] if share else 0.0


@dataclass(frozen=True, slots=True)
class Messenger:
    """What a model takes off recordings that seem to have been sent by a messenger (Opus at 12 to 48 kbit/s).

    That codec fills in what it left out, and moves genuine recordings towards spoof. With z of all signals' numbers, as
    the last part of the model standardises them, clip(offset + estimate @ z, 0, most) is taken off the log-odds;
    `estimate`: shape=(k,).
    """

    estimate: NDArray[np.float32]
    offset: float
    most: float

    def taken_off(self, z: NDArray[np.float64]) -> float:
        """Return what is taken off, 0 to `most`, for standardised numbers, shape=(k,)."""
        return min(max(self.offset + float(self.estimate @ z), 0.0), self.most)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A signal of an operator's own that a model was trained with: its name, and the wheel that measures it."""

    name: str
    package: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} of {self.package} {self.version} (SHA-256 {self.sha256})"


@dataclass(frozen=True, slots=True)
class Model:
    """One trained detector. `name` is `wd` for the browser's and `fd` for the server's forensic one.

    Log-odds of spoof = `bias` + contributions; of speech = `speech_bias` + contributions. Bands start at
    `elevated` and `high` (probabilities); below `speech_floor` (probability of speech) nothing is scored.
    `experts` stand in one after the other, each for what the ones before leave; `messenger` is for what was sent by
    one. A model has what it was trained with.
    `requires` are the signals of an operator's own among the parts, `own` what measures them, by name: a model as it is
    read has none, and cannot score before `extensions.equip`.
    """

    name: str
    version: str
    parts: tuple[Part, ...]
    bias: float
    speech_bias: float
    elevated: float
    high: float
    speech_floor: float
    sha256: str
    experts: tuple[Expert, ...] = ()
    messenger: Messenger | None = None
    requires: tuple[Requirement, ...] = ()
    own: Mapping[str, Extension] = field(default_factory=dict)

    @property
    def detector(self) -> str:
        """The detector's id: code version and the first eight digits of the model's digest."""
        return f"{self.name}-{VERSION}-{self.sha256[:8]}"


def unpack(raw: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what a model file says besides its arrays, and the arrays by name, as views of `raw`.

    Raises `KeyError`, `TypeError` or `ValueError` for damage.
    """
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    settings = json.loads(header.pop("__metadata__")["model"])
    arrays = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        dtype = np.dtype(TYPES[entry["dtype"]])
        flat = np.frombuffer(raw, dtype, (last - first) // dtype.itemsize, start + first)
        arrays[name] = flat.reshape(entry["shape"])
    return settings, arrays


def _part(stored: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Part:
    name = stored["name"]
    landmarks = arrays[f"{name}.landmarks"]
    return Part(
        name=name,
        centre=arrays[f"{name}.centre"],
        scale=arrays[f"{name}.scale"],
        landmarks=landmarks,
        step=stored["landmark_step"],
        norms=np.concatenate([np.einsum("ij,ij->i", block, block) for block in _blocks(landmarks)]),
        weights=arrays[f"{name}.weights"],
        offset=(stored["offset"][0], stored["offset"][1]),
        gamma=stored["gamma"],
        directions=arrays.get(f"{name}.directions"),
        direction_step=stored["direction_step"],
    )


def stored_experts(stored: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a file says of its experts, in any layout that is read."""
    for_noise = stored.get("noise")
    experts: list[dict[str, Any]] = stored.get("experts", [] if for_noise is None else [for_noise])
    return experts


def _expert(stored: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Expert:
    return Expert(
        _part(stored, arrays),
        arrays[f"{stored['name']}.estimate"],
        stored["estimate_offset"],
        stored["most"],
        tuple(stored.get("unchanged", ())),
    )


def _messenger(stored: dict[str, Any] | None, arrays: dict[str, NDArray[Any]]) -> Messenger | None:
    if stored is None:
        return None
    return Messenger(arrays[f"{MESSENGER}.estimate"], stored["estimate_offset"], stored["most"])


def parse_model(raw: bytes) -> Model:
    """Read a model file. Raises `ModelError` when it is damaged or of another layout."""
    try:
        stored, arrays = unpack(raw)
        if stored["format"] not in READABLE:
            raise ModelError(
                f"The model has layout {stored['format']}, this code reads {READABLE}. Train it again."
            )
        _check_thresholds(stored["elevated"], stored["high"], stored["speech_floor"])
        return Model(
            name=stored["name"],
            version=stored["version"],
            parts=tuple(_part(part, arrays) for part in stored["parts"]),
            bias=stored["bias"],
            speech_bias=stored["speech_bias"],
            elevated=stored["elevated"],
            high=stored["high"],
            speech_floor=stored["speech_floor"],
            sha256=hashlib.sha256(raw).hexdigest(),
            experts=tuple(_expert(one, arrays) for one in stored_experts(stored)),
            messenger=_messenger(stored.get(MESSENGER), arrays),
            requires=tuple(Requirement(**one) for one in stored.get("extensions", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The model file is damaged ({error!r}). Install the package again.") from error


def _check_thresholds(elevated: Any, high: Any, speech_floor: Any) -> None:
    """Raise `ValueError` unless these are probabilities, and `elevated` starts no later than `high`.

    One that is not a number would show only with the first recording that is compared with it.
    """
    if not all(isinstance(one, int | float) and 0.0 <= one <= 1.0 for one in (elevated, high, speech_floor)):
        raise ValueError(f"thresholds that are no probabilities: {elevated!r}, {high!r}, {speech_floor!r}")
    if elevated > high:
        raise ValueError(f"elevated at {elevated}, above high at {high}")


def check_equipped(model: Model) -> None:
    """Raise `ModelError` when the model was trained with a signal of an operator's own that is not here."""
    absent = [str(one) for one in model.requires if one.name not in model.own]
    if absent:
        raise ModelError(
            f"The model was trained with {', '.join(absent)}, and this detector does not have it. "
            "List that very wheel in PRELISTEN_EXTENSIONS, or use another model."
        )


@lru_cache(maxsize=1)
def load_model() -> Model:
    """Return the model that this package carries."""
    try:
        raw = resources.files("wasm_detector").joinpath(FILE_NAME).read_bytes()
    except OSError as error:
        raise ModelError(
            f"{FILE_NAME} is missing from the package. Make it with `prelisten train`."
        ) from error
    return parse_model(raw)


def detector_id() -> str:
    """Return the id of the detector that this package carries, such as `wd-0.1.0-1a2b3c4d`."""
    return load_model().detector
