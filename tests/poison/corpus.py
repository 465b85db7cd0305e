"""What people and attackers send: a name, the bytes (made from seeds), and how it has to end.

`python -m tests.poison.corpus FOLDER` writes the files, to be tried by hand; `--table` prints how each one ends,
as it stands in `web/docs/media.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from tests.poison.attacks import ATTACKERS
from tests.poison.sounds import Poison
from tests.poison.uploads import PEOPLE

CORPUS = (*PEOPLE, *ATTACKERS)


def table(rows: Iterable[Poison]) -> str:
    """Return a Markdown table: the file, what it is, the finding's state, the codes, the least strict decision."""
    lines = [
        "| file | what it is | finding | codes | decision, at least |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        codes = " ".join(f"`{code}`" for code in row.codes) or ("heard whole" if row.heard_s else "")
        lines.append(f"| `{row.name}` | {row.about} | `{row.state}` | {codes} | `{row.action}` |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1] == "--table":
        sys.stdout.write(f"{table(PEOPLE)}\n\n{table(ATTACKERS)}\n")
    else:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for poison in CORPUS:
            (folder / poison.name).write_bytes(poison.make())
