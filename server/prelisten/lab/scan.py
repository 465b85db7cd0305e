"""Listen to files and say what shows signs of synthetic speech.

One line for each file. Exit status 2 when a file could not be read; the others are still done.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from prelisten.config import Config, load_config
from prelisten.errors import PrelistenError
from prelisten.lab.hearing import TIERS, hear_file, model_of
from wasm_detector.errors import DetectorError

UNREADABLE = 2
# Each file is answered within 30 s; the last block and the score come on top of this.
WITHIN_S = 25.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `prelisten scan`."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="recordings to listen to")
    parser.add_argument("--tier", choices=TIERS, default="server", help="whose detector (default: server)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")


def scan_file(path: Path, *, tier: str, config: Config) -> dict[str, Any]:
    """Return what one file's line says: the result, or `error` (a sentence) and its `code`."""
    started = time.monotonic()
    try:
        hint = hear_file(path, config, model_of(tier, config), within_s=WITHIN_S).to_dict()
    except (PrelistenError, DetectorError) as error:
        return {"path": str(path), "error": str(error), "code": error.code, "tier": tier}
    return {
        "path": str(path),
        **{name: hint[name] for name in ("spoof_score", "band", "reasons", "coverage", "detector")},
        "tier": tier,
        "elapsed_s": round(time.monotonic() - started, 3),
    }


def _row(line: dict[str, Any]) -> str:
    if "error" in line:
        return f"{'error':<13}{'':>6}  {line['path']}  {line['error']}"
    score = "" if line["spoof_score"] is None else f"{line['spoof_score']:.3f}"
    heard, total = line["coverage"]["analysed_s"], line["coverage"]["total_s"]
    covered = f"{heard:.1f} s" if total is None or heard >= total - 0.1 else f"{heard:.1f} of {total:.1f} s"
    codes = " ".join(reason["code"] for reason in line["reasons"])
    return f"{line['band']:<13}{score:>6}  {line['path']}  ({covered})  {codes}".rstrip()


def run(arguments: argparse.Namespace) -> int:
    """Scan every file; return 0, or 2 when one could not be read."""
    config, status = load_config(), 0
    for path in arguments.files:
        line = scan_file(path, tier=arguments.tier, config=config)
        print(json.dumps(line, allow_nan=False) if arguments.json else _row(line), flush=True)
        status = UNREADABLE if "error" in line else status
    if status:
        print("prelisten: not every file could be read.", file=sys.stderr)
    return status
