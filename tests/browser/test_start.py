"""The start of the runtime: what is fetched, that it is checked before it runs, and what the page is told."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from prelisten.assets import manifest
from tests.browser.conftest import Server
from tests.recordings import speech_like, wav_bytes

START = """
([address, recording, isPatient]) => new Promise((resolve) => {
  const worker = new Worker(address, { type: "module" });
  const said = [];
  const own = address.split("/").at(-2);
  const isKept = async () => {
    try {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("prelisten-snapshots");
      const file = await (await folder.getFileHandle(own)).getFile();
      return new Uint32Array(await file.slice(0, 4).arrayBuffer())[0] > 0; // It is written last.
    } catch {
      return false;
    }
  };
  const end = async () => {
    while (isPatient && !(await isKept())) await new Promise((again) => setTimeout(again, 200));
    worker.terminate();
    resolve(said);
  };
  worker.onerror = (event) => {
    said.push({ kind: "failed", message: event.message });
    end();
  };
  worker.onmessage = ({ data }) => {
    said.push(data);
    if (data.kind === "failed" || data.kind === "finished" || (data.kind === "ready" && !recording)) end();
    else if (data.kind === "ready") worker.postMessage({ kind: "screen", job: 1, file, maxSeconds: 120 });
  };
  const file = recording && new File([Uint8Array.from(atob(recording), (c) => c.charCodeAt(0))], "voice.wav");
  worker.postMessage({ kind: "load" });
})
"""
RECORDING = base64.b64encode(wav_bytes(speech_like(9.0, seed=8))).decode()


def start(page: Page, recording: str | None = None, *, is_patient: bool = False) -> list[dict[str, Any]]:
    """Start a worker on the page that is open; return all that it said until it was ready, heard it, or failed.

    With `is_patient`, a snapshot of the runtime is kept when this returns.
    """
    return page.evaluate(START, [f"/prelisten/v1/{manifest()['worker']}", recording, is_patient])


def test_the_page_is_told_of_bytes_and_phases(page: Page, server: Server) -> None:
    """Progress grows to the whole, and the phases of the start add up."""
    page.goto(server.url)
    *said, ready = start(page)
    assert ready["kind"] == "ready", ready
    loading = [step for step in said if step["kind"] == "loading"]
    loaded = [step["loaded"] for step in loading]
    assert loaded == sorted(loaded)
    assert loaded[-1] == loading[-1]["total"] > 10_000_000
    times = ready["times"]
    assert set(times) == {"find", "fetch", "archives", "python", "imports", "model", "total"}
    assert sum(times.values()) - times["total"] == pytest.approx(times["total"], abs=5)


@pytest.mark.parametrize(
    "part",
    ["pyodide.asm.wasm", "numpy._core._*.wasm", "pyodide.asm.mjs", "python_stdlib.zip", "numpy-*.whl"],
)
def test_an_altered_file_never_runs(page: Page, server: Server, part: str) -> None:
    """One byte more than was built: the start fails and says which file it was."""

    def alter(route: Route) -> None:
        original = route.fetch()
        changed = bytearray(original.body())
        changed[-1] ^= 1
        route.fulfill(body=bytes(changed), content_type=original.headers["content-type"])

    page.goto(server.url)
    page.context.route(f"**/v1/b/*/{part}", alter)
    failed = start(page)[-1]
    assert failed["kind"] == "failed"
    assert part.split("*")[0] in failed["message"]
    assert "is not the file that this page was built with" in failed["message"]
