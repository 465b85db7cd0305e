"""The page about hints: what it shows was run, what it names exists, and no code is without its anchor."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prelisten.checks.claim import MISMATCH
from prelisten.cli import parser
from prelisten.config import Config
from prelisten.errors import PrelistenError
from prelisten.hints.seal import FIXED_OUTCOMES
from prelisten.hints.verify import TEST, UNABLE
from prelisten.records import TokenState
from prelisten.routes.openapi import description
from tests.browser.conftest import PRELISTEN, Server, start_server
from tests.integration.test_clients import ACTION, API, CLIENTS, RECORDING, node, token_for
from tests.integration.test_test_mode import ANSWERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "web" / "docs" / "hints.md"
TEXT = PAGE.read_text()
# Never an answer of the API: they end a start, a command, a screening's step or an event's delivery.
INSIDE = {
    "internal_error", "bad_configuration", "cancelled", "media_error", "lease_lost", "duplicate", "blob_damaged",
    "address_refused", "bad_audit_head",
}  # fmt: skip
# Werkzeug's own, as `http_error` names them.
OF_WERKZEUG = {
    "method_not_allowed", "request_entity_too_large", "requested_range_not_satisfiable", "internal_server_error",
}  # fmt: skip


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def slug(heading: str) -> str:
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


def anchors() -> set[str]:
    return {slug(one) for one in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)} | set(
        re.findall(r'<a id="([a-z_]+)">', TEXT)
    )


def codes_in_source() -> Iterator[str]:
    """Yield every code that the routes and the hints give by hand."""
    for path in [
        *(ROOT / "server/prelisten/routes").glob("*.py"),
        *(ROOT / "server/prelisten/hints").rglob("*.py"),
    ]:
        for part in ast.walk(ast.parse(path.read_text())):
            if isinstance(part, ast.Call) and getattr(part.func, "id", "") in ("_refusal", "EnvelopeError"):
                yield from _texts(part.args[0])
            if isinstance(part, ast.Assign) and "code" in ast.dump(part.targets[0]):
                value = part.value.elts[0] if isinstance(part.value, ast.Tuple) else part.value
                yield from _texts(value)


def _texts(part: ast.expr) -> Iterator[str]:
    if isinstance(part, ast.Constant) and isinstance(part.value, str):
        yield part.value


def kinds(kind: type) -> set[type]:
    return {kind}.union(*(kinds(child) for child in kind.__subclasses__()))


def hint_codes() -> set[str]:
    return {f"HINT_{state.name}" for state in TokenState if state is not TokenState.OK} | {
        MISMATCH,
        UNABLE,
        TEST,
    }


def api_codes() -> set[str]:
    of_classes = {kind.__dict__.get("code", "") for kind in kinds(PrelistenError)} - {""}
    return (of_classes | set(codes_in_source()) | OF_WERKZEUG) - INSIDE


def test_every_code_of_a_hint_has_an_anchor_and_says_what_to_do():
    """And each of them begins with what all have in common: the recording is screened."""
    for code in hint_codes():
        assert code.lower() in anchors(), code
        said = TEXT.partition(f"### {code}\n")[2].partition("\n#")[0]
        assert len(said.split()) > 8, code
        assert "creen fully" in said or code == TEST, code


def test_every_code_of_the_api_has_an_anchor_with_its_status():
    """A code that an answer may hold, and nobody finds, helps nobody; neither does one that no answer holds."""
    rows = dict(re.findall(r'^\| <a id="([a-z_]+)"></a>`\1` \| (\d{3}) \| \S', TEXT, re.MULTILINE))
    assert len(codes := set(codes_in_source())) > 8, codes
    assert set(rows) == api_codes()
    for kind in kinds(PrelistenError):
        if (code := kind.__dict__.get("code")) in rows:
            assert rows[code] == str(kind.http_status), code


def test_every_outcome_of_the_test_mode_is_in_the_table():
    table = TEXT.partition("| outcome |")[2].partition("\n\n")[0]
    assert set(
        re.findall(r"`([a-z]+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:]))
    ) == set(FIXED_OUTCOMES)
    for row in table.splitlines()[2:]:
        named, said = row.split("|")[1:3]
        for outcome in re.findall(r"`([a-z]+)`", named):
            assert all(f"`{code}`" in said for code in ANSWERS[outcome][3]), row


def test_links_anchors_commands_and_settings_exist():
    """Whatever the page names can be followed or typed."""
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        path, _, anchor = link.partition("#")
        assert (PAGE.parent / path).exists(), link
        assert path or anchor in anchors(), link
    for name in set(re.findall(r"PRELISTEN_([A-Z_]+)", TEXT)) - {"URL", "KEY"}:
        assert name.lower() in Config.model_fields, name
    for command in re.findall(r"`(prelisten [a-z][^`\n]*)`", TEXT):
        words = shlex.split(command)[1:]
        assert parser().parse_args([*words, "name"] if words[-1] == "new" and "api" in words else words).run


def test_other_pages_link_to_anchors_of_this_one():
    for page in PAGE.parent.glob("*.md"):
        for anchor in re.findall(r"hints\.md#([\w-]+)", page.read_text()):
            assert anchor in anchors(), (page.name, anchor)


def test_tests_of_the_attacks_exist():
    """Each row names a test that is there, under the name that stands there."""
    table = TEXT.partition("| attack | defence | test |")[2]
    rows = table.strip().splitlines()[1:]
    assert len(rows) >= 15
    for row in rows:
        cell = row.strip("| ").rpartition("|")[2]
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", cell)
        assert named or cell.strip().startswith("none: "), row
        for path, name in named:
            assert re.search(rf"^def {name}\(", (ROOT / "tests" / path).read_text(), re.MULTILINE), name


def test_attributes_of_the_page_are_the_elements():
    source = (ROOT / "web" / "src" / "element" / "attributes.js").read_text()
    for block in blocks("html"):
        for name in re.findall(r'([a-z-]+)="', block.partition("<prelisten-check")[2].partition(">")[0]):
            assert re.search(rf"^    {name}: {{", source, re.MULTILINE), name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = start_server(
        tmp_path_factory.mktemp("hints") / "data", workers="0", wait_s="0", env="development"
    )
    yield started
    started.stop()


@pytest.fixture
def place(server: Server, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Return a folder with a recording, and the environment that the page's commands expect."""
    make = [PRELISTEN, "keys", "api", "new", "shop", "--scope", "verify", "--data", server.data]
    environ = os.environ | {"PRELISTEN_ENV": "development"}
    key = subprocess.run(make, env=environ, capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "voice.wav").write_bytes(RECORDING)
    told = {"SITE": server.url, "KEY": key, "SHA256": hashlib.sha256(RECORDING).hexdigest()}
    own = {"VERIFY_URL": f"{server.url}{API}", "VERIFY_KEY": key, "PRELISTEN_DATA": str(server.data)}
    return tmp_path, {"PATH": os.environ["PATH"], "PRELISTEN_ENV": "development", **told, **own}


def run(command: list, place: tuple[Path, dict[str, str]], **more: str) -> str:
    folder, environ = place
    done = subprocess.run(command, cwd=folder, env=environ | more, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="NOTHING HERE WAS TESTED: no curl on this machine")
def test_commands_of_the_page_do_what_they_say(server, place):
    """Ask by the sum, ask with the recording, ask for a fixed outcome: as they stand on the page."""
    by_sum, with_file, fixed = blocks("sh")
    answers = [
        json.loads(run(["/bin/sh", "-euc", command], place, TOKEN=token_for(server)))
        for command in (by_sum, with_file)
    ]
    shown = json.loads(blocks("json")[0])
    described = set(description()["components"]["schemas"]["Verification"]["properties"])
    for answer in answers:
        assert set(answer) == set(shown) == described
        assert {name: type(value) for name, value in answer.items()} == {n: type(v) for n, v in shown.items()}
        assert answer["success"] is shown["success"] is True
    assert [answer["recomputed"] for answer in answers] == ["not_run", "match"]
    assert json.loads(run(["/bin/sh", "-euc", fixed], place))["test"] is True


def test_script_of_the_page_runs(server, place):
    """In Node, beside the example client, with a form as a framework hands it over."""
    folder, _ = place
    shutil.copy(CLIENTS / "verify.mjs", folder)
    form = 'import { openAsBlob } from "node:fs";\nconst form = new FormData();\n'
    form += 'form.set("voice", await openAsBlob("voice.wav"));\nform.set("voice-hint", process.env.TOKEN);\n'
    (folder / "page.mjs").write_text(form + blocks("js")[0])
    said = run([node(), "page.mjs"], place, TOKEN=token_for(server, session="visitor-7"))
    assert "hint: 'good'" in said
    assert "HINT_WRONG_SESSION" in run([node(), "page.mjs"], place, TOKEN=token_for(server))


def test_python_of_the_page_runs(server, place):
    """In a process of its own, on the site's data folder; nothing is spent by it."""
    folder, _ = place
    head = 'import os\nfrom pathlib import Path\ntoken = os.environ["TOKEN"]\n'
    head += 'recording = Path("voice.wav").read_bytes()\n'
    (folder / "page.py").write_text(head + blocks("python")[0])
    token = token_for(server, session="visitor-7")
    for _ in range(2):
        assert run([sys.executable, "page.py"], place, TOKEN=token) == "ok accept ()\n"


def test_no_other_snippet_is_left_untested():
    """Who adds one in another language, or a second one, adds it here too."""
    found = re.findall(r"^```(\w*)$", TEXT, re.MULTILINE)
    assert sorted(filter(None, found)) == ["html", "js", "json", "python", "sh", "sh", "sh"]
    assert ACTION in TEXT
