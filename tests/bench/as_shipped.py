"""Time-to-ready of the bundle beside Pyodide as it is shipped: core, untrimmed numpy, the same detector wheel.

Ready is a worker in which `wasm_detector.browser` is imported and has answered. Cold is a fresh browser profile, warm
a second page in it. Both builds come uncompressed from one loopback server, and take turns.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import shutil
import statistics
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext

ROOT = Path(__file__).resolve().parents[2]
LIMIT_MS = 60_000
WORKER = """
import { loadPyodide } from "./pyodide.mjs";
const pyodide = await loadPyodide({ indexURL: new URL("./", import.meta.url).href });
await pyodide.loadPackage(["numpy", new URL("WHEEL", import.meta.url).href]);
pyodide.pyimport("wasm_detector.browser").describe();
postMessage({ kind: "ready" });
"""
READY = """([script, limit]) => new Promise((resolve, reject) => {
  const began = performance.now();
  const worker = new Worker(script, { type: "module" });
  const end = (settle, value) => { worker.terminate(); settle(value); };
  setTimeout(() => end(reject, new Error("not ready in time")), limit);
  worker.onerror = (event) => end(reject, new Error(event.message || "the worker failed"));
  worker.onmessage = ({ data }) => {
    if (data.kind === "ready") end(resolve, performance.now() - began);
    else if (data.kind === "error") end(reject, new Error(JSON.stringify(data)));
  };
  worker.postMessage({ kind: "load" });
})"""


class Files(http.server.SimpleHTTPRequestHandler):
    """Static files, kept by the browser for ever, as the product's own are."""

    protocol_version = "HTTP/1.1"
    extensions_map = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"} | {
        "": "application/octet-stream",
        ".html": "text/html",
    }

    def end_headers(self) -> None:
        """Add the caching header."""
        self.send_header("Cache-Control", "public, max-age=31536000, immutable")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the table readable."""


@contextlib.contextmanager
def served(worker: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Serve both builds; yield the page's address and each build's worker."""
    ours = (ROOT / "web/dist" / worker).parent
    wheel = next(ours.glob("wasm_detector-*.whl"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "page.html").write_text("<!doctype html><title>bench</title>")
        shutil.copytree(ours, root / "ours", ignore=shutil.ignore_patterns("*.br", "*.gz"))
        [official] = (ROOT / ".cache").glob("pyodide-*")
        shutil.copytree(official, root / "shipped")
        shutil.copyfile(wheel, root / "shipped" / wheel.name)
        (root / "shipped/worker.js").write_text(WORKER.replace("WHEEL", wheel.name))
        handler = functools.partial(Files, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            yield (
                f"{address}/page.html",
                {"ours": "/ours/worker.js", "as shipped": "/shipped/worker.js"},
            )
        finally:
            server.shutdown()
            server.server_close()


def ready_ms(context: BrowserContext, page_url: str, script: str) -> float:
    """Return how long a worker takes from its making to being ready, on a new page."""
    page = context.new_page()
    page.goto(page_url)
    took: float = page.evaluate(READY, [script, LIMIT_MS])
    page.close()
    return took


def compare(browser: Browser, worker: str, runs: int) -> dict[str, dict[str, float]]:
    """Return median and least milliseconds of each build, cold and warm, and the ratio of the medians."""
    with served(worker) as (page_url, scripts):
        took: dict[str, list[float]] = {f"{name} {kind}": [] for name in scripts for kind in ("cold", "warm")}
        for _ in range(runs):
            for name, script in scripts.items():
                context = browser.new_context()
                took[f"{name} cold"].append(ready_ms(context, page_url, script))
                took[f"{name} warm"].append(ready_ms(context, page_url, script))
                context.close()
    medians = {name: statistics.median(some) for name, some in took.items()}
    return {
        kind: {
            "ratio": round(medians[f"ours {kind}"] / medians[f"as shipped {kind}"], 3),
            **{f"{name} p50_ms": round(medians[f"{name} {kind}"]) for name in scripts},
            **{f"{name} least_ms": round(min(took[f"{name} {kind}"])) for name in scripts},
        }
        for kind in ("cold", "warm")
    }
