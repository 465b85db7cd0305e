"""The detector's wheel, by either builder."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from bundling.errors import BundleError
from bundling.wheel import PIP, PYODIDE, build_wheel, lacking

ROOT = Path(__file__).resolve().parents[3]
PYTHON = Path(sys.executable)
LACKING = lacking(PYTHON)


def contents(folder: Path, builder: str) -> dict[str, bytes]:
    """Build the wheel and return its members."""
    folder.mkdir()
    name = build_wheel(ROOT / "wasm_detector", folder, builder=builder, python=PYTHON, say=lambda line: None)
    with zipfile.ZipFile(folder / name) as wheel:
        return {member: wheel.read(member) for member in wheel.namelist()}


@pytest.mark.skipif(not LACKING, reason="pyodide-build and its cross-build environment are here")
def test_what_pyodide_build_lacks_is_one_sentence(tmp_path: Path) -> None:
    """Nothing is built by something else in silence: the sentence says what is missing and what to do."""
    with pytest.raises(BundleError, match="--builder pyodide") as refused:
        contents(tmp_path / "pyodide", PYODIDE)
    sentence = str(refused.value)
    assert sentence == LACKING
    assert sentence.count(". ") == 0
    if sys.version_info < (3, 12):
        assert "Python 3.12 or newer" in sentence


@pytest.mark.skipif(bool(LACKING), reason=LACKING or "-")
def test_both_builders_make_the_same(tmp_path: Path) -> None:
    """A pure wheel is the same files, whoever packs them."""
    ours, theirs = contents(tmp_path / "pip", PIP), contents(tmp_path / "pyodide", PYODIDE)
    told = {name for name in ours if name.endswith((".dist-info/WHEEL", ".dist-info/RECORD"))}
    assert {name: ours[name] for name in ours if name not in told} == {
        name: theirs[name] for name in theirs if name not in told
    }
