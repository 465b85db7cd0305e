"""The snapshot of the runtime: made by the visitor's browser, restored on the next visit, never in the way."""

from __future__ import annotations

import os
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from prelisten.assets import manifest
from tests.browser.conftest import Server
from tests.browser.test_start import RECORDING, start

FOLDER = "(await (await navigator.storage.getDirectory()).getDirectoryHandle('prelisten-snapshots', {create: true}))"
NAMES = f"(async () => {{ const all = []; for await (const name of {FOLDER}.keys()) all.push(name); return all; }})()"
# Rewrites the kept snapshot by a function's body, which has its `bytes`, its `header` and where the pages begin.
REWRITE = f"""
async () => {{{{
  const folder = {FOLDER.replace("{", "{{").replace("}", "}}")};
  const [name] = await Array.fromAsync(folder.keys());
  const handle = await folder.getFileHandle(name);
  const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
  const length = new Uint32Array(bytes.buffer, 0, 1)[0];
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const pages = 4 + length + header.stateBytes;
  const text = (changed) => bytes.set(new TextEncoder().encode(JSON.stringify(changed).padEnd(length)), 4);
  const writable = await handle.createWritable();
  await writable.write((() => {{{{ {{change}} }}}})());
  await writable.close();
}}}}
"""
LEAVE_RUNNING = """
(address) => {
  self.worker = new Worker(address, { type: "module" });
  self.worker.postMessage({ kind: "load" });
}
"""
DAMAGES = [
    pytest.param("return bytes.fill(0, bytes.length >> 1, (bytes.length >> 1) + 4096)", id="a lost block"),
    pytest.param("return bytes.fill(0, 0, 4)", id="not whole"),
    pytest.param("text({ ...header, golden: header.golden.replace('0.', '1.') }); return bytes", id="golden"),
]
if os.environ.get("TEST_SIZE") == "full":
    DAMAGES += [
        pytest.param("return bytes.slice(0, bytes.length >> 1)", id="cut"),
        pytest.param(
            "bytes.copyWithin(pages + 8192, pages + 4096, pages + 8192); return bytes", id="a block twice"
        ),
        pytest.param("return bytes.fill(7, 4)", id="junk"),
    ]


def ready(said: list[dict[str, Any]]) -> str:
    """Return how the worker started."""
    (message,) = [one for one in said if one["kind"] == "ready"]
    return message["start"]


def outcome(said: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what was found out about the recording, without how long it took."""
    assert said[-1]["kind"] == "finished", said[-1]
    return {name: value for name, value in said[-1]["outcome"].items() if name != "times"}


def rewrite(page: Page, change: str) -> None:
    """Change the kept snapshot."""
    page.evaluate(REWRITE.format(change=change))


def before_worker(page: Page, line: str) -> None:
    """Have a line of JavaScript run in the worker before its own."""

    def add(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=line + response.text())

    page.context.route("**/v1/b/*/worker.js", add)


def test_the_second_visit_goes_on_from_the_first(page: Page, server: Server) -> None:
    """The same result to the last bit, no archive asked for; one snapshot, which a start from it leaves as it is."""
    page.goto(server.url)
    first = start(page, RECORDING, is_patient=True)
    assert ready(first) == "cold"
    kept = page.evaluate(NAMES)
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    second = start(page, RECORDING)
    assert ready(second) == "snapshot"
    assert "pyodide.asm.wasm" in asked
    assert not [name for name in asked if name.endswith((".zip", ".whl"))]
    assert outcome(second) == outcome(first)
    assert page.evaluate(NAMES) == kept
    assert len(kept) == 1


@pytest.mark.parametrize("change", DAMAGES)
def test_a_damaged_snapshot_is_replaced(page: Page, server: Server, change: str) -> None:
    """The start is the ordinary one and works, and the next visit has a good snapshot again."""
    page.goto(server.url)
    start(page, is_patient=True)
    rewrite(page, change)
    said = start(page, RECORDING, is_patient=True)
    assert ready(said) == "cold"
    assert outcome(said)["result"]["spoof_score"] is not None
    assert ready(start(page)) == "snapshot"


def test_a_snapshot_that_hung_is_not_tried_again(page: Page, server: Server) -> None:
    """A start that never came back from it has left its mark."""
    page.goto(server.url)
    start(page, is_patient=True)
    (name,) = page.evaluate(NAMES)
    page.evaluate(f"(async () => {{ await {FOLDER}.getFileHandle('{name}.tried', {{create: true}}); }})()")
    assert ready(start(page)) == "cold"


def test_a_snapshot_of_another_bundle_is_not_read(page: Page, server: Server) -> None:
    """It is deleted when this bundle's own is kept."""
    page.goto(server.url)
    other = "0123456789ab"
    page.evaluate(f"(async () => {{ await {FOLDER}.getFileHandle('{other}', {{create: true}}); }})()")
    assert ready(start(page, is_patient=True)) == "cold"
    (name,) = page.evaluate(NAMES)
    assert name != other


def test_a_snapshot_of_another_browser_is_not_used(page: Page, server: Server) -> None:
    """Nor of another version: its engine may lay out memory in another way."""
    page.goto(server.url)
    start(page, is_patient=True)
    rewrite(
        page, "text({ ...header, browser: header.browser.replace('Mozilla/5', 'Mozilla/6') }); return bytes"
    )
    assert ready(start(page)) == "cold"


@pytest.mark.parametrize(
    "line",
    [
        "Object.defineProperty(navigator, 'storage', { value: undefined });",
        "StorageManager.prototype.getDirectory = async () => { throw new DOMException('private', 'SecurityError'); };",
        "FileSystemFileHandle.prototype.createSyncAccessHandle = undefined;",
    ],
    ids=["no storage", "refused", "no handles"],
)
def test_where_nothing_can_be_kept(page: Page, server: Server, line: str) -> None:
    """The start is the ordinary one."""
    before_worker(page, line)
    page.goto(server.url)
    said = start(page, RECORDING)
    assert ready(said) == "cold"
    assert outcome(said)["result"]["spoof_score"] is not None
    assert page.evaluate(NAMES) == []


@pytest.mark.parametrize(
    "line",
    [
        "FileSystemSyncAccessHandle.prototype.write = () => { throw new DOMException('', 'QuotaExceededError'); };",
        "FileSystemSyncAccessHandle.prototype.write = () => 0;",
        "FileSystemSyncAccessHandle.prototype.flush = () => { throw new DOMException('', 'InvalidStateError'); };",
    ],
    ids=["no room", "nothing written", "not flushed"],
)
def test_what_could_not_be_written_is_deleted(page: Page, server: Server, line: str) -> None:
    """Nothing is left that takes room."""
    before_worker(page, line)
    page.goto(server.url)
    told = "No snapshot of the runtime is kept"
    with page.expect_console_message(lambda line: told in line.text, timeout=120_000):
        page.evaluate(LEAVE_RUNNING, f"/prelisten/v1/{manifest()['worker']}")
    assert page.evaluate(NAMES) == []
