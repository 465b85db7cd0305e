"""The JSON Schema of a policy file, for editors and for programs that write policies."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from prelisten.policy.document import Policy

FILE_NAME = "schema.json"


def policy_schema() -> dict[str, Any]:
    """Return the schema as the code has it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Policy.model_json_schema(by_alias=True),
        "title": "A policy of Prelisten",
    }


def schema_text() -> str:
    """Return the schema's text as it is published; a test keeps file and code equal."""
    return json.dumps(policy_schema(), indent=2, sort_keys=True) + "\n"


def published_schema() -> str:
    """Return the text of the file that the package carries."""
    return resources.files(__package__).joinpath(FILE_NAME).read_text(encoding="utf-8")
