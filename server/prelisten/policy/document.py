"""The policy file: a strict schema, and a version that is its name and the hash of what it says."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prelisten.errors import ConfigError

# None of these words is `accept`: what the server does not know, it cannot let pass.
Doubt = Literal["label", "review", "reject"]
Score = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
ActionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Thresholds(_Strict):
    """From which `spoof_score` upwards a step is taken; a step that is left out is never taken."""

    label: Score | None = None
    review: Score | None = None
    reject: Score | None = None

    @model_validator(mode="after")
    def _rise(self) -> Self:
        """A policy without any threshold accepts everything, which nobody means; a falling one contradicts itself."""
        given = [score for score in (self.label, self.review, self.reject) if score is not None]
        if not given:
            raise ValueError("give at least one of label, review, reject")
        if given != sorted(given):
            raise ValueError("expected label <= review <= reject")
        return self


class Section(_Strict):
    """What is done for one action of a form; see `default.yaml` for the meaning of each line."""

    thresholds: Thresholds
    inconclusive: Doubt = "label"
    partial: Doubt = "label"
    no_recording: Doubt = "reject"
    on_incomplete: Doubt = "review"
    outstanding: Literal["label", "hold"] = "hold"


class Policy(_Strict):
    """A whole policy: a section for every action, and others for the actions that need their own."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")
    default: Section
    actions: dict[ActionName, Section] = Field(default_factory=dict)

    def section(self, action: str) -> Section:
        """Return the section for the form's action."""
        return self.actions.get(action, self.default)

    @property
    def version(self) -> str:
        """The name and the first 12 hex digits of the SHA-256 of the content, comments and order aside."""
        content = json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"))
        return f"{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


class _UniqueLoader(yaml.SafeLoader):
    """YAML without repeated keys: of two thresholds nobody knows which one holds."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice."""
        names = [key.value for key, _ in node.value]
        if len(set(names)) != len(names):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def load_policy(path: Path | None = None) -> Policy:
    """Read a policy file, or the built-in one. Raises `ConfigError` that says what is wrong with it."""
    source = str(path) if path else "the built-in policy"
    try:
        text = path.read_text() if path else resources.files(__package__).joinpath("default.yaml").read_text()
        return parse_policy(text, source=source)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The policy {source} cannot be read: {error}.") from error


def parse_policy(text: str, *, source: str = "the policy") -> Policy:
    """Read a policy from YAML text. Raises `ConfigError` that names `source`."""
    try:
        # A SafeLoader by descent: it makes plain data only.
        return Policy.model_validate(yaml.load(text, Loader=_UniqueLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is no readable YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigError(f"{source} cannot be used: {problems}") from error
