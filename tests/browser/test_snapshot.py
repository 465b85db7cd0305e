"""The snapshot of the runtime: made by the visitor's browser, restored on the next visit, never in the way."""

from __future__ import annotations

import os
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from tests.browser.conftest import Server
from tests.browser.test_start import RECORDING, start

CACHE = "prelisten-snapshots"
NAMES = f"caches.open('{CACHE}').then((cache) => cache.keys()).then((all) => all.map((one) => one.url))"
# Rewrites the kept snapshot; where it is sealed, it gets the sum that it then has.
REWRITE = """
async () => {{
  const cache = await caches.open("{cache}");
  const [request] = await cache.keys();
  const kept = await cache.match(request);
  const bytes = new Uint8Array(await kept.arrayBuffer());
  const changed = (() => {{ {change} }})();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", changed));
  const sum = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const headers = {{ "X-Sha256": {is_sealed} ? sum : kept.headers.get("X-Sha256") }};
  await cache.put(request, new Response(changed, {{ headers }}));
}}
"""
FLIP = "bytes[bytes.length >> 1] ^= 1; return bytes"
CUT = "return bytes.slice(0, bytes.length >> 1)"
JUNK = "return bytes.fill(7, bytes.length >> 2)"
GOLDEN = """
  const at = new TextDecoder("latin1").decode(bytes.subarray(0, 99)).indexOf("0.");
  bytes[at + 2] ^= 1;
  return bytes;
"""
DAMAGES = [
    pytest.param(FLIP, False, id="flipped"),
    pytest.param(CUT, True, id="sealed-cut"),
    pytest.param(GOLDEN, True, id="sealed-golden"),
]
if os.environ.get("TEST_SIZE") == "full":
    DAMAGES += [pytest.param(CUT, False, id="cut"), pytest.param(JUNK, True, id="sealed-junk")]


def ready(said: list[dict[str, Any]]) -> str:
    """Return how the worker started."""
    (message,) = [one for one in said if one["kind"] == "ready"]
    return message["start"]


def outcome(said: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what was found out about the recording, without how long it took."""
    assert said[-1]["kind"] == "finished", said[-1]
    return {name: value for name, value in said[-1]["outcome"].items() if name != "times"}


def rewrite(page: Page, change: str, *, is_sealed: bool) -> None:
    """Change the kept snapshot by a JavaScript function's body, which has its `bytes`."""
    page.evaluate(REWRITE.format(cache=CACHE, change=change, is_sealed=str(is_sealed).lower()))


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


@pytest.mark.parametrize(("change", "is_sealed"), DAMAGES)
def test_a_damaged_snapshot_is_replaced(page: Page, server: Server, change: str, is_sealed: bool) -> None:
    """The start is the ordinary one and works, and the next visit has a good snapshot again."""
    page.goto(server.url)
    start(page, is_patient=True)
    rewrite(page, change, is_sealed=is_sealed)
    said = start(page, RECORDING, is_patient=True)
    assert ready(said) == "cold"
    assert outcome(said)["result"]["spoof_score"] is not None
    assert ready(start(page)) == "snapshot"


def test_a_snapshot_that_hung_is_not_tried_again(page: Page, server: Server) -> None:
    """A start that never came back from it has left its mark."""
    page.goto(server.url)
    start(page, is_patient=True)
    (name,) = page.evaluate(NAMES)
    page.evaluate(f"caches.open('{CACHE}').then((cache) => cache.put('{name}/tried', new Response()))")
    assert ready(start(page)) == "cold"


def test_a_snapshot_of_another_bundle_or_browser_is_not_read(page: Page, server: Server) -> None:
    """It is deleted when this bundle's own is kept."""
    page.goto(server.url)
    other = f"{server.url}/prelisten/v1/b/0123456789ab/snapshot-1/Chromium"
    page.evaluate(f"caches.open('{CACHE}').then((cache) => cache.put('{other}', new Response('other')))")
    assert ready(start(page, is_patient=True)) == "cold"
    (name,) = page.evaluate(NAMES)
    assert name != other


@pytest.mark.parametrize(
    "line",
    [
        "Object.defineProperty(self, 'caches', { value: undefined });",
        "CacheStorage.prototype.open = async () => { throw new DOMException('private', 'SecurityError'); };",
        "Cache.prototype.put = async () => { throw new DOMException('full', 'QuotaExceededError'); };",
    ],
    ids=["no Cache API", "refused", "no room"],
)
def test_where_nothing_can_be_kept(page: Page, server: Server, line: str) -> None:
    """The start is the ordinary one."""
    before_worker(page, line)
    page.goto(server.url)
    said = start(page, RECORDING)
    assert ready(said) == "cold"
    assert outcome(said)["result"]["spoof_score"] is not None
    assert page.evaluate(NAMES) == []
