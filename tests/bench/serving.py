"""The end of a server that was started for measuring."""

from __future__ import annotations

import subprocess

from tests.browser.conftest import Server


def end(server: Server) -> None:
    """End the server; on a machine so busy that it does not end in time, for certain."""
    try:
        server.stop()
    except subprocess.TimeoutExpired:
        server.process.kill()
