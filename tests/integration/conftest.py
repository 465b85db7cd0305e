"""The real application with a real screening loop, in a folder of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from prelisten.app import create_app
from prelisten.config import Config, load_config
from prelisten.keys import ensure_keys
from prelisten.pipeline import Services
from prelisten.wiring import wire
from prelisten.worker import run_worker


@dataclass
class Site:
    """A running site: its application, a client, its services, and the loop that screens."""

    app: Flask
    config: Config

    @property
    def services(self) -> Services:
        """What the application works with."""
        return self.app.extensions["prelisten"].services

    def close(self) -> None:
        """End it in order."""
        self.app.extensions["prelisten"].close()

    def client(self) -> FlaskClient:
        """A browser without cookies."""
        return self.app.test_client()


def make_site(data: Path, **settings) -> Site:
    """Make an application whose own processes are off: the tests run the screening loop themselves."""
    config = load_config({}, data=data, **({"workers": 0, "rate_limit": "100000/minute"} | settings))
    ensure_keys(config)
    return Site(create_app(config), config)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site without a screening process: uploads stay at `hold`."""
    made = make_site(tmp_path / "data", wait_s=0)
    yield made
    made.close()


@contextmanager
def screening(made: Site) -> Iterator[Site]:
    """Run the loop of a screening process, with services of its own, in a thread beside the site."""
    services, stop = wire(made.config), threading.Event()
    worker = threading.Thread(target=run_worker, args=(services,), kwargs={"stop": stop})
    worker.start()
    try:
        yield made
    finally:
        stop.set()
        worker.join()
        services.storage.close()
        made.close()


@pytest.fixture(scope="module")
def live_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose uploads are screened."""
    with screening(make_site(tmp_path_factory.mktemp("site"))) as made:
        yield made


@pytest.fixture(scope="module")
def strict_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that hears twelve seconds at most, and whose policy gives every recording to a person."""
    folder = tmp_path_factory.mktemp("strict")
    policy = folder / "policy.yaml"
    policy.write_text(
        "name: everything-to-review\ndefault:\n  thresholds: {review: 0.0}\n  inconclusive: review\n"
    )
    with screening(make_site(folder / "data", policy=policy, max_seconds=12)) as made:
        yield made
