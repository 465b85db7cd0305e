"""One parser under atheris: `python -m tests.fuzz.guided NAME CORPUS [libFuzzer options]`."""

from __future__ import annotations

import sys

import atheris

PARSERS = ("wasm_detector", "prelisten.media", "prelisten.hints", "prelisten.policy", "yaml", "itsdangerous")

if __name__ == "__main__":
    with atheris.instrument_imports(include=list(PARSERS)):
        from tests.fuzz.targets import TARGETS
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name].run)
    atheris.Fuzz()
