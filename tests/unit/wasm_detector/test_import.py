"""What the detector may need."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
allowed = set(sys.stdlib_module_names) | {"numpy", "wasm_detector"}
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in allowed:
            raise ModuleNotFoundError(f"blocked: {name}")
sys.meta_path.insert(0, Block())
import wasm_detector.browser as browser
print(browser.describe()["id"])
"""


def test_the_detector_imports_with_numpy_alone():
    """The browser has nothing else: every other package is blocked in a fresh process, and the model loads."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("wd-"), done.stderr


def test_the_browser_needs_no_random_numbers():
    """numpy.random and scipy are left out of the bundle, so nothing here may load them by name."""
    code = (
        "import sys, wasm_detector.browser; "
        "print([n for n in sys.modules if n.startswith(('scipy', 'flask', 'prelisten'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
