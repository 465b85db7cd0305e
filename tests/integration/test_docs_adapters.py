"""The page about adapters and the examples' READMEs: their snippets are lines of the examples, which a browser runs."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
EXAMPLES = WEB / "examples"
PAGE = (WEB / "docs" / "adapters.md").read_text()
READMES = sorted(EXAMPLES.glob("*/README.md"))
sys.path.insert(0, str(WEB))
toolchain = importlib.import_module("bundling.toolchain")
SOURCES = [path for path in EXAMPLES.rglob("*") if path.suffix in {".js", ".tsx", ".vue", ".py"}]
MEASURE = """
import { buildSync } from "esbuild";
const external = ["@uppy/core", "react", "vue"];
const options = { bundle: true, minify: true, format: "esm", target: "es2022", write: false, external };
for (const entry of JSON.parse(process.argv[1])) {
  const [file] = buildSync({ ...options, entryPoints: [entry] }).outputFiles;
  console.log(JSON.stringify(file.text));
}
"""


def statements(text: str) -> set[str]:
    """Return the lines of code, without their indentation."""
    return {line.strip() for line in text.splitlines() if line.strip()}


@pytest.mark.parametrize("page", [WEB / "docs" / "adapters.md", *READMES], ids=lambda page: page.parent.name)
def test_snippets_stand_in_the_examples(page: Path) -> None:
    """Every line of every snippet is one of an example; what is for `hintFor` is a sketch."""
    there = set().union(*(statements(path.read_text()) for path in SOURCES))
    for snippet in re.findall(r"```(?:js|tsx|vue|python)\n(.*?)```", page.read_text(), re.DOTALL):
        if "hintFor" not in snippet:
            assert statements(snippet) <= there, statements(snippet) - there


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.parent.name)
def test_readme_names_the_pinned_version(page: Path) -> None:
    """A README says which version it was tried with: the one that is installed."""
    pinned = json.loads((EXAMPLES / "package.json").read_text())["devDependencies"].values()
    versions = re.findall(r"\b\d+\.\d+\.\d+\b", page.read_text())
    assert versions
    assert set(versions) - {"127.0.0"} <= set(pinned)


def test_table_states_versions_and_bytes() -> None:
    """Versions are those that are installed; each module, bundled and minified, has the stated size to 5 %."""
    rows = re.findall(r"^\| `@prelisten/widget/(\w+)` \|.*\| ([\d,]+) \|$", PAGE, re.MULTILINE)
    assert {name for name, _ in rows} == {path.stem for path in (WEB / "adapters").glob("*.js")}
    pinned = json.loads((EXAMPLES / "package.json").read_text())["devDependencies"].values()
    table = PAGE.partition("\n|---")[2].partition("\n\n")[0]
    assert set(re.findall(r"\b\d+\.\d+\.\d+\b", table)) <= set(pinned)
    node = toolchain.find_node(Path(sys.executable), print)
    entries = json.dumps([f"adapters/{name}.js" for name, _ in rows])
    # A script that is no file finds the tools of the folder that it runs in.
    command = [str(node.node), "--input-type=module", "--eval", MEASURE, entries]
    printed = toolchain.run(command, doing="bundling", say=print, cwd=WEB, env=node.environment())
    for (name, stated), line in zip(rows, printed.splitlines(), strict=True):
        packed = len(gzip.compress(json.loads(line).encode(), 9, mtime=0))
        assert packed == pytest.approx(int(stated.replace(",", "")), rel=0.05), name
