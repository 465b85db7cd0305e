"""The description of the API is true: a program made requests of all kinds from it, and compared every answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from prelisten.records import Context
from prelisten.routes.openapi import description
from tests.browser.conftest import PRELISTEN, start_server
from tests.integration.test_api_keys import key, post
from tests.integration.test_routes import API

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
CONFIG = Path(__file__).parent / "openapi" / "schemathesis.toml"
STATIC = {"widget.js", "b/{name}", "locales/{name}", "pages/{name}", "x/<sha256>/<name>"}
WIDE = "1000000/minute"
# Small: every operation, odd and ordinary; full: more of it, and sequences of requests, for ten minutes.
IS_FULL = os.environ.get("TEST_SIZE") == "full"
SIZE = ["-n", "300", "--max-time", "600"] if IS_FULL else ["-n", "4", "--phases", "coverage,fuzzing"]


def test_every_route_is_described(site):
    """A view that is not in the description does not exist for anybody; one that is there, exists."""
    rules = {
        (
            rule.rule.removeprefix(f"{API}/")
            .replace("<submission_id>", "{id}")
            .replace("<path:name>", "{name}"),
            method.lower(),
        )
        for rule in site.app.url_map.iter_rules()
        if rule.rule.startswith(f"{API}/")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {
        (path.removeprefix("/"), method)
        for path, methods in description()["paths"].items()
        for method in methods
    }
    assert {rule for rule in rules if rule[0] not in STATIC} == described


def test_description_knows_where_it_is(site):
    """Below a path, too: the address in it is the one that was asked."""
    assert site.client().get(f"{API}/openapi.json").json["servers"] == [{"url": f"http://localhost{API}"}]
    below = site.client().get(f"{API}/openapi.json", environ_overrides={"SCRIPT_NAME": "/check"})
    assert below.json["servers"] == [{"url": f"http://localhost/check{API}"}]


@pytest.mark.parametrize(("method", "path"), [("DELETE", "health"), ("GET", "challenge"), ("GET", "nowhere")])
def test_programs_get_json_whatever_they_ask(site, method, path):
    """Also for an address that is none, and a method that does not fit: with the ones that do."""
    answer = site.client().open(f"{API}/{path}", method=method)
    assert answer.status_code in (404, 405)
    assert answer.json["error"]["code"]
    assert (answer.status_code == 405) == ("Allow" in answer.headers)


def test_what_a_back_end_reads_is_described(site):
    """Every field of the longest answer stands in the schema."""
    secret = key(site)
    url = post(site, secret).json["status_url"]
    told = site.client().get(url, headers={"Authorization": f"Bearer {secret}"}).json
    assert set(told) == set(description()["components"]["schemas"]["Submission"]["properties"])


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A real server that refuses nobody for asking much."""
    names = ("rate_limit", "upload_rate_limit", "busy_upload_rate_limit", "api_rate_limit")
    settings = dict.fromkeys(names, WIDE)
    started = start_server(
        tmp_path_factory.mktemp("openapi") / "data", workers="0", wait_s="0", max_queue="1000000", **settings
    )
    yield started
    started.stop()


def test_every_answer_is_as_described(served, tmp_path):
    """Requests made from the description, fitting and unfit: no fault, no undescribed status, type or field."""
    explore(served, tmp_path, f"{served.url}{API}/openapi.json")


def test_every_answer_to_a_back_end_is_as_described(served, tmp_path):
    """The same with an API key in the header: then what follows it is looked at, JSON and forms with a file.

    Where the key is in the header it may not be in the body, and what only a back end may say is read; the
    description is told so before it is used.
    """
    make = [PRELISTEN, "keys", "api", "new", "back end", "--data", served.data]
    secret = subprocess.run(make, capture_output=True, text=True, check=True).stdout.strip()
    with urllib.request.urlopen(f"{served.url}{API}/openapi.json", timeout=20) as answer:
        told = json.load(answer)
    for content in told["paths"]["/verify"]["post"]["requestBody"]["content"].values():
        del content["schema"]["properties"]["secret"]
    form = told["paths"]["/uploads"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    # An empty field is as good as none.
    form["properties"] |= {
        "action": {"type": "string", "pattern": "^[A-Za-z0-9_-]{0,32}$"},
        "context": {"type": "string", "enum": [*Context, ""]},
    }
    described = tmp_path / "openapi.json"
    described.write_text(json.dumps(told))
    done = explore(
        served,
        tmp_path,
        described,
        *("--url", f"{served.url}{API}", "-H", f"Authorization: Bearer {secret}"),
        *("--include-path-regex", "^/(verify|uploads)"),
    )
    assert "API key" not in done, "it was refused for its key, and nothing else was tested"


def explore(served, folder: Path, described: Path | str, *more: str) -> str:
    """Ask the server all that can be made from a description; return what was said of it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PRELISTEN_")}
    done = subprocess.run(
        [
            SCHEMATHESIS, "--config-file", CONFIG, "run", described,
            "--seed", "7", "--no-color", "--generation-database", "none", *SIZE, *more,
        ],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
    assert served.process.poll() is None
    return done.stdout
