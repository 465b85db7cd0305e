"""A recording that is being made, as the worker takes it in: late runtimes and slow machines cost bounded memory."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "web"))
toolchain = importlib.import_module("bundling.toolchain")

KEPT_CHUNKS = 120  # 30 s, a quarter of a second each.
SCRIPT = """
Object.assign(globalThis, { __FILES__: {}, __LIBRARIES__: {}, __LOCKFILE__: {} });
globalThis.navigator ??= { userAgent: "" };
const { hear } = await import(process.argv[2]);
const { early, late, busyMs, loads, kept, heard } = JSON.parse(process.argv[3]);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (isSo) => { while (!isSo()) await pause(1); };
const pushed = [];
const told = [];
const live = {
  push([number]) {
    pushed.push(number);
    for (const end = performance.now() + busyMs; performance.now() < end; );
    return { toJs: () => ({ hint: { band: "clear", speech_s: pushed.length } }), destroy() {} };
  },
  destroy: () => told.push("destroyed"),
};
const { port1, port2 } = new MessageChannel();
let sent = 0;
const send = (count) => {
  for (const last = sent + count; sent < last; sent += 1) port1.postMessage(new Float32Array(25).fill(sent));
};
let load, end;
const loading = new Promise((resolve) => (load = resolve));
const ended = new Promise((resolve) => (end = resolve));
let isOver = false;
const tell = (hint) => told.push(hint ?? String(hint));
const hearing = hear(loading, 100, port2, ended, tell).then(() => (isOver = true));
send(early);
await pause(100);
if (loads) load({ Live: () => live });
await until(() => pushed.length >= kept);
send(late);
await until(() => pushed.length >= kept + heard || isOver);
const byItself = isOver;
end();
await hearing;
port1.close();
console.log(JSON.stringify({ pushed, told, byItself }));
"""


@pytest.fixture(scope="module")
def node() -> str:
    return str(toolchain.find_node(Path(sys.executable), print).node)


def heard(node: str, tmp_path: Path, **plan: Any) -> dict[str, Any]:
    """Run the worker's own `hear` with real ports and a stand-in for Python, and return what came of it."""
    script = tmp_path / "plan.mjs"
    script.write_text(SCRIPT)
    order = {"early": 0, "late": 0, "busyMs": 0, "loads": True, "kept": 0, "heard": 0} | plan
    command = [node, script, (ROOT / "web/src/worker/live.js").as_uri(), json.dumps(order)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_what_comes_before_the_runtime_is_kept_up_to_a_bound(node: str, tmp_path: Path) -> None:
    """Of a recording that began long before, the last half minute is heard, in order; then what follows."""
    told = heard(node, tmp_path, early=300, late=3, kept=KEPT_CHUNKS, heard=3)
    assert told["pushed"] == list(range(300 - KEPT_CHUNKS, 303))
    assert told["told"][:2] == ["null", {"band": "clear", "speech_s": 1}]
    assert not told["byItself"]


def test_recording_that_ends_before_the_runtime_is_there_is_forgotten(node: str, tmp_path: Path) -> None:
    """Nothing is told, and nothing waits for ever."""
    assert heard(node, tmp_path, early=5, loads=False) == {"pushed": [], "told": [], "byItself": False}


def test_machine_that_cannot_follow_gives_up(node: str, tmp_path: Path) -> None:
    """Half a minute behind, it hears no more, rather than hold a recording of any length, and takes its word back."""
    told = heard(node, tmp_path, late=400, busyMs=20, heard=400)
    assert told["byItself"]
    assert told["told"][-2:] == ["undefined", "destroyed"]
    assert len(told["pushed"]) < 400 - KEPT_CHUNKS
