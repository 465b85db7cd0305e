"""`prelisten serve`: one parent that starts the web process and the screening processes, and ends them all."""

from __future__ import annotations

import errno
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable

from prelisten.config import Config
from prelisten.errors import ConfigError
from prelisten.keys import ensure_keys
from prelisten.review.sign_in import new_link_code
from prelisten.supervisor import Child, WorkerSet, environ_for, stop
from prelisten.wiring import wire

ADDRESS_FILE = "address"
READY_TIMEOUT_S = 60.0
TICK_S = 0.5
LISTEN_HELP = {
    errno.EADDRINUSE: "Something is running there already. ",
    errno.EACCES: "Ports below 1024 are root's; let a reverse proxy listen there. ",
    errno.EADDRNOTAVAIL: "This machine has no such address. ",
}


def last_address(config: Config) -> str:
    """Return where people reach the site, else where `serve` was last started on this data folder."""
    if config.public_url:
        return config.public_url
    path = config.data / ADDRESS_FILE
    return path.read_text() if path.exists() else "http://127.0.0.1:8000"


def web_command(host: str, port: int) -> list[str]:
    """Return how the web process is started: gunicorn, one process with threads, streaming request bodies."""
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    settings = ["--config", "python:prelisten.web_process", "--bind", bind, "--workers", "1"]
    return [sys.executable, "-m", "gunicorn", *settings, "prelisten.app:create_app()"]


def serve(config: Config, host: str, port: int, say: Callable[[str], None] = print) -> int:
    """Run the server until TERM or INT; return the exit status.

    Makes the keys on the first start, brings the database to its newest shape, prints the address and the
    reviewer's one-time link. Raises `ConfigError` when the port is taken or a setting is unfit.
    """
    _require_free_port(host, port)
    ensure_keys(config)
    wire(config).storage.close()
    code = new_link_code(config.data)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    workers, web = WorkerSet(config), Child(web_command(host, port), environ_for(config))
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    (config.data / ADDRESS_FILE).write_text(address)
    try:
        web.start()
        if not workers.keep():
            say("Another process runs the screening for this data folder already; none is started here.")
        if _wait_until_ready(host, port, ended, web):
            say(f"Prelisten listens on {address}  (stop it with Ctrl-C)")
            say(f"Reviewer's link, works once: {config.public_url or address}/review/sign-in?code={code}")
        while not ended.wait(TICK_S):
            web.keep()
            workers.keep()
    finally:
        stop([web, *workers.children])
        workers.stop()
    return 0


def _require_free_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.getaddrinfo(host, port, family)
    except OSError as error:
        raise ConfigError(
            f"--host {host} is no address of this machine. 127.0.0.1 listens to this machine alone (behind a proxy), "
            f"0.0.0.0 to every network."
        ) from error
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"Cannot listen on {host}:{port} ({error.strerror}). {LISTEN_HELP.get(error.errno or 0, '')}"
                f"Choose another --port, or another --host."
            ) from error


def _wait_until_ready(host: str, port: int, ended: threading.Event, web: Child) -> bool:
    """Wait until the web process answers; `False` when we were told to end first. Raises when it never does."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    address = f"http://{reached}:{port}"
    health = urllib.request.Request(f"{address}/prelisten/v1/health", headers={"Host": "localhost"})  # noqa: S310 - our own address
    for _ in range(int(READY_TIMEOUT_S / 0.2)):
        if ended.wait(0.2):
            return False
        if web.running is not None and web.running.poll() is not None:
            raise ConfigError("The web process ended at its start; what it printed above says why.")
        try:
            with urllib.request.urlopen(health, timeout=5):  # noqa: S310 - our own address
                return True
        except (urllib.error.URLError, OSError):
            continue
    raise ConfigError(f"The web process did not answer on {address} within {READY_TIMEOUT_S:.0f} s.")
