"""What a browser may claim: a strict schema. Unknown keys are refused; every list and text has a limit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Milliseconds = Annotated[int, Field(ge=0, le=86_400_000)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:+-]{1,64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ClaimedFile(_Strict):
    """The file that was screened, as the browser saw it."""

    size: int = Field(ge=0, le=2**53)
    type: str = Field(max_length=100)
    sha256: Sha256


class DetectorRef(_Strict):
    """A detector: its id and the SHA-256 of the archive that the browser loads."""

    id: Name
    sha256: Sha256


class ClaimedCoverage(_Strict):
    """How much was listened to, in milliseconds; `total_ms` is null when the length is not known."""

    analysed_ms: Milliseconds
    total_ms: Milliseconds | None


class Near(_Strict):
    """Numbers that must agree within a tolerance: a byte a segment (base64url), and small statistics."""

    seg: str = Field(max_length=172, pattern=r"^[A-Za-z0-9_-]*={0,2}$")
    stat: list[Annotated[int, Field(ge=-(2**31), le=2**31)]] = Field(max_length=16)


class Environment(_Strict):
    """What decoded the recording (`wav`, `page`) and at which rate in Hz."""

    decoder: Name
    rate: float = Field(ge=0, le=1_000_000, allow_inf_nan=False)


class Claim(_Strict):
    """What the browser's detector says about one file. `q` is 1000 x `spoof_score`, null when unsure."""

    v: Literal[1]
    cid: str = Field(pattern=r"^[0-9a-f]{32}$")
    file: ClaimedFile
    det: DetectorRef
    band: Literal["clear", "elevated", "high", "inconclusive"]
    q: int | None = Field(ge=0, le=1000)
    reasons: list[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,47}$")]] = Field(max_length=16)
    cov: ClaimedCoverage
    exact: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]{1,24}$")], int] = Field(max_length=12)
    near: Near
    env: Environment
    t: dict[Annotated[str, Field(pattern=r"^[a-z_]{1,16}$")], Milliseconds] = Field(max_length=8)
    declared: bool | None = None
