"""The policy file: a strict schema, and a version that is its name and the hash of what it says.

What is left out has the value given here, and these values are part of every file's meaning: once released they never
change, and a new line gets one that leaves decisions as they were. So a version means the same for ever.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from prelisten.errors import ConfigError
from prelisten.policy.rules import CheckName, Doubt, Rule, Strict

Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
ActionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
ContextName = Literal["feed", "chat", "live"]
Status = Literal["draft", "shadow", "active"]
# Two checks of one recording hear much the same, so the second one is half news.
DEFAULT_WEIGHT = 0.5


class Thresholds(Strict):
    """From which `spoof_score` upwards a step is taken; a step that is left out is never taken."""

    label: Share | None = None
    review: Share | None = None
    reject: Share | None = None

    @model_validator(mode="after")
    def _rise(self) -> Self:
        """A policy without any threshold accepts everything, which nobody means; a falling one contradicts itself."""
        given = [score for score in (self.label, self.review, self.reject) if score is not None]
        if not given:
            raise ValueError("give at least one of label, review, reject")
        if given != sorted(given):
            raise ValueError("expected label <= review <= reject")
        return self


class Lines(Strict):
    """What may differ between actions and contexts; see `default.yaml` for the meaning of each line."""

    thresholds: Thresholds | None = None
    weights: dict[CheckName, Share] = Field(default_factory=dict)
    required: list[CheckName] = Field(default_factory=lambda: ["forensic"], min_length=1)
    ignored: list[CheckName] = Field(default_factory=lambda: ["recompute"])
    rules: list[Rule] = Field(default_factory=list)
    inconclusive: Doubt = "label"
    partial: Doubt = "label"
    no_recording: Doubt = "reject"
    unreadable: Doubt = "reject"
    on_incomplete: Doubt = "review"
    on_unavailable: Doubt = "review"
    over_budget: Literal["review", "label"] = "review"
    outstanding: Literal["label", "hold"] = "hold"

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("two rules have one name")
        if "claim" in {*self.required, *self.weights}:
            raise ValueError("what the browser claims never weighs: `claim` cannot be required or weighted")
        if both := _contradicting(self):
            raise ValueError(f"{', '.join(both)}: required and ignored at once; leave it out of `ignored`")
        return self


def _contradicting(lines: Lines) -> list[str]:
    """Return what is required and ignored at once. A required check is never among those ignored unless said so."""
    return sorted(set(lines.required) & set(lines.ignored)) if "ignored" in lines.model_fields_set else []


class ActionLines(Lines):
    """The lines for one action of a form, and where a context differs again."""

    contexts: dict[ContextName, Lines] = Field(default_factory=dict)


class Section(ActionLines):
    """Every line that holds for a recording."""

    thresholds: Thresholds


class FalseAlarms(Strict):
    """The share of genuine recordings that may get at least this action."""

    label: Share | None = None
    review: Share | None = None


class Budgets(Strict):
    """What the site can bear. Reviews are counted as they come; false alarms where labelled recordings are tried."""

    reviews_per_hour: int | None = Field(default=None, ge=1, le=1_000_000)
    reviews_per_day: int | None = Field(default=None, ge=1, le=10_000_000)
    false_alarms: FalseAlarms = Field(default_factory=FalseAlarms)


class Policy(Strict):
    """A whole policy: a section for every action, and lines of their own for actions and contexts that need them."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")
    status: Status = "active"
    budgets: Budgets = Field(default_factory=Budgets)
    default: Section
    actions: dict[ActionName, ActionLines] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        """Each combination must be usable as a whole, not only line by line."""
        for action in ("", *self.actions):
            for context in ("feed", "chat", "live"):
                section = self.section(action, context)
                if both := _contradicting(section):
                    raise ValueError(
                        f"{action or 'default'}/{context}: {', '.join(both)} is required and ignored"
                    )
        return self

    def section(self, action: str, context: str = "feed") -> Section:
        """Return the lines for an action and a context.

        A line that is left out comes from the wider place: action and context, action, context, default.
        """
        own = self.actions.get(action)
        places: list[Lines | None] = [_in_context(self.default, context), own, _in_context(own, context)]
        section = self.default
        for lines in places:
            if lines is not None:
                given = {name: getattr(lines, name) for name in lines.model_fields_set if name != "contexts"}
                section = section.model_copy(update=given)
        return section

    def content(self) -> dict[str, Any]:
        """Return what the file says, as plain data: only the lines that it gives."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    @property
    def text(self) -> str:
        """Return the policy as YAML that reads back to the same version; comments are lost."""
        return yaml.safe_dump(self.content(), sort_keys=False, allow_unicode=True)

    @property
    def version(self) -> str:
        """The name and the first 12 hex digits of the SHA-256 of the content.

        Comments, order and status are no part of it: a policy that becomes active keeps the version that it was
        tried under.
        """
        content = {name: value for name, value in self.content().items() if name != "status"}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _in_context(lines: Lines | None, context: str) -> Lines | None:
    return lines.contexts.get(context) if isinstance(lines, ActionLines) else None  # type: ignore[call-overload]


class UniqueLoader(yaml.SafeLoader):
    """YAML without repeated keys: of two thresholds nobody knows which one holds."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} stands twice", node.value[place][0].start_mark
                )
        return super().construct_mapping(node, deep=deep)


def load_policy(path: Path | None = None, *, status: Status = "active") -> Policy:
    """Read a policy file, or the built-in one, that is to be used as an active (or a shadow) policy.

    Raises `ConfigError` that says what is wrong with it.
    """
    source = str(path) if path else "the built-in policy"
    policy = parse_policy(read_text(path), source=source)
    if policy.status != status:
        raise ConfigError(
            f"{source} has the status `{policy.status}`, and is named where a policy of the status `{status}` "
            f"belongs. Write `status: {status}` in it when that is what you mean."
        )
    return policy


def read_text(path: Path | None = None) -> str:
    """Return a policy file's text, or the built-in one's. Raises `ConfigError`."""
    try:
        builtin = resources.files(__package__).joinpath("default.yaml")
        return path.read_text(encoding="utf-8") if path else builtin.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The policy {path or 'that is built in'} cannot be read: {error}.") from error


def parse_policy(text: str, *, source: str = "the policy") -> Policy:
    """Read a policy from YAML text. Raises `ConfigError` that names `source`."""
    try:
        # A SafeLoader by descent: it makes plain data only.
        return Policy.model_validate(yaml.load(text, Loader=UniqueLoader))  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, ValidationError):
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}"
                for problem in error.errors()
            )
            raise ConfigError(f"{source} cannot be used: {problems}") from error
        raise ConfigError(f"{source} is no readable YAML: {error}") from error
