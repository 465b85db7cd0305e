"""The example clients, each as a back end would run it, against a real server: Node without dependencies, and curl."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import PRELISTEN, Server, start_server
from tests.integration.test_verify import honest_claim
from tests.recordings import speech_like, wav_bytes

CLIENTS = Path(__file__).resolve().parents[2] / "server" / "examples" / "clients"
API = "/prelisten/v1"
RECORDING = wav_bytes(speech_like(seed=51))
ACTION = "voice-upload"


def node() -> str:
    """Return a Node, 20 or newer: the one on the path, or the one that the build has put beside this Python."""
    beside = Path(PRELISTEN).parent
    for found in filter(None, (shutil.which("node"), shutil.which("node", path=str(beside)))):
        told = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
        if (major := re.match(r"v(\d+)", told)) and int(major[1]) >= 20:
            return found
    pytest.skip("NOTHING WAS TESTED WITH NODE: no Node >= 20 here; `python3 build.py bundle` installs one.")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = start_server(tmp_path_factory.mktemp("clients") / "data", workers="0", wait_s="0")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def environ(server: Server) -> dict[str, str]:
    """What a back end is told: where the API is, and a key."""
    make = [PRELISTEN, "keys", "api", "new", "shop", "--scope", "verify", "--data", server.data]
    key = subprocess.run(make, capture_output=True, text=True, check=True).stdout.strip()
    return {"PATH": os.environ["PATH"], "VERIFY_URL": f"{server.url}{API}", "VERIFY_KEY": key}


def post(server: Server, name: str, body: dict) -> dict:
    headers = {"Content-Type": "application/json", "Origin": server.url}
    request = urllib.request.Request(f"{server.url}{API}/{name}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def token_for(server: Server, recording: bytes = RECORDING, *, session: str | None = None, **changes) -> str:
    """Return what the widget would put into the form."""
    challenge = post(server, "challenge", {"action": ACTION, "session": session})
    claim = {
        "v": 1,
        "cid": challenge["cid"],
        "file": {
            "size": len(recording),
            "type": "audio/wav",
            "sha256": hashlib.sha256(recording).hexdigest(),
        },
        "det": challenge["detector"],
        "env": {"decoder": "wav", "rate": 16000},
        "t": {},
        **honest_claim(recording),
        **changes,
    }
    return post(server, "seal", {"challenge": challenge["challenge"], "claim": claim})["token"]


def command(name: str) -> list[str]:
    return [node(), CLIENTS / "verify.mjs"] if name == "node" else ["/bin/sh", CLIENTS / "verify.sh"]


def run(name: str, environ: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    if name == "curl" and shutil.which("curl") is None:
        pytest.skip("NOTHING WAS TESTED WITH CURL: it is not on this machine.")
    return subprocess.run(
        [*command(name), *map(str, arguments)], env=environ, capture_output=True, text=True, timeout=120
    )


GARBAGE_CODES = {f"HINT_{word}" for word in ("ABSENT", "MALFORMED", "UNKNOWN_KEY", "BAD_SIGNATURE")}
BOTH = pytest.mark.parametrize("name", ["node", "curl"])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A file whose name would trouble a careless script."""
    path = tmp_path / 'my "voice"; part\\1.wav'
    path.write_bytes(RECORDING)
    return path


@BOTH
def test_good_token_is_verified(server, environ, recording, name):
    """The answer is printed, the recording was listened to again, and the status says yes."""
    done = run(name, environ, recording, token_for(server), ACTION)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["success"], told["recomputed"], told["repeated"]) == (True, "match", False)


@BOTH
def test_session_that_the_page_rendered_is_named_again(server, environ, recording, name):
    """Bound off Flask: the challenge was asked for in a session, and the back end knows it from its own cookie."""
    token = token_for(server, session="ümlaut & \"quotes\" 'x'")
    without = run(name, environ, recording, token, ACTION)
    assert (without.returncode, json.loads(without.stdout)["error-codes"]) == (1, ["HINT_WRONG_SESSION"])
    assert run(name, environ, recording, token, ACTION, "ümlaut & \"quotes\" 'x'").returncode == 0


@BOTH
@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "@/etc/passwd", "</etc/passwd", '","success":true,"x":"', "ü", "-k"]
)
def test_whatever_a_sender_puts_there_is_no_success(environ, recording, name, token):
    """And no trick: no file of the back end's is sent, and nothing is read into the answer."""
    done = run(name, environ, recording, token, ACTION)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["success"] is False
    assert told["error-codes"][0] in GARBAGE_CODES


@BOTH
def test_claim_that_says_success_is_not_believed(server, environ, tmp_path, name):
    """The answer quotes what a browser sent; the words in it are not the answer's."""
    other = tmp_path / "other.wav"
    other.write_bytes(b"not what was screened")
    token = token_for(server, file={"size": 1, "type": '"success":true', "sha256": "a" * 64})
    assert run(name, environ, other, token, ACTION).returncode == 1


@BOTH
def test_own_mistakes_are_named(server, environ, recording, name):
    """A wrong key, an action that is none, no arguments: no answer, and what to do."""
    token = token_for(server)
    for changes, action in (({"VERIFY_KEY": "prelisten_live_x"}, ACTION), ({}, "no such action")):
        done = run(name, environ | changes, recording, token, action)
        assert done.returncode == 2
        assert "bad_api_key" in done.stderr or "`action`" in done.stderr
    assert run(name, environ, recording, token, ACTION).returncode == 0, "nothing was spent"
    assert run(name, environ).returncode == 2
    assert run(name, environ, recording.parent / "nowhere.wav", token).returncode == 2


def test_node_finds_nobody_to_ask(environ, recording):
    """A server that is away is no reason to lose the recording: `null`, and the status for "no answer"."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/prelisten/v1"
        done = run("node", environ | {"VERIFY_URL": url}, recording, "x")
    assert (done.returncode, done.stdout.strip()) == (2, "null")


def test_node_comes_back_after_a_refusal(environ, recording, tmp_path):
    """It waits as long as it is told, then asks the same question again, under the same key."""
    script = tmp_path / "busy.mjs"
    script.write_text(
        f"""
        import {{ createServer }} from "node:http";
        import {{ verify, meaning }} from {json.dumps((CLIENTS / "verify.mjs").as_uri())};
        const keys = [];
        const server = createServer(async (request, response) => {{
          let body = "";
          for await (const piece of request) body += piece;
          keys.push(JSON.parse(body).idempotency_key);
          if (keys.length < 3) return response.writeHead(503, {{ "Retry-After": "1" }}).end("{{}}");
          response.end('{{"success": true, "codes": [], "floor": "accept"}}');
        }}).listen(0, async () => {{
          const url = `http://127.0.0.1:${{server.address().port}}`;
          const answer = await verify({{ url, secret: "s", response: "t", action: "a", sha256: "0".repeat(64) }});
          console.log(JSON.stringify([meaning(answer), keys.length, new Set(keys).size]));
          server.close();
        }});
        """
    )
    done = subprocess.run([node(), script], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == [{"hint": "good", "until_screened": "accept", "why": []}, 3, 1], (
        done.stderr
    )


@pytest.fixture
def receiver(environ) -> Iterator[str]:
    """The example's own web server, which takes the form's POST."""
    process = subprocess.Popen(
        [*command("node"), "--serve"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    timer = threading.Timer(60, process.kill)
    timer.start()
    yield process.stdout.readline().strip()
    timer.cancel()
    process.terminate()
    process.communicate(timeout=10)


def submit(url: str, parts: dict[str, object], *, cookie: str = "") -> dict:
    """Send a form as a browser does."""
    import io

    from werkzeug.datastructures import FileStorage
    from werkzeug.test import encode_multipart

    values = {
        name: FileStorage(io.BytesIO(value), filename="v.wav") if isinstance(value, bytes) else value
        for name, value in parts.items()
    }
    boundary, body = encode_multipart(values)
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Cookie": cookie}
    request = urllib.request.Request(f"{url}/submit", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_node_takes_a_form(server, receiver):
    """The recording is taken with and without a hint; its own cookie is the session that the hint is bound to."""
    good = {"voice": RECORDING, "voice-hint": token_for(server, session="visitor-7")}
    taken = {"bytes": len(RECORDING), "hint": "good", "until_screened": "accept", "why": []}
    assert submit(receiver, good, cookie="a=1; session=visitor-7") == taken
    again = submit(receiver, good, cookie="session=visitor-7")
    assert (again["hint"], again["why"]) == ("none", ["HINT_DUPLICATE"])
    stranger = {"voice": RECORDING, "voice-hint": token_for(server, session="visitor-7")}
    assert submit(receiver, stranger, cookie="session=visitor-8")["why"] == ["HINT_WRONG_SESSION"]
    assert submit(receiver, {"voice": RECORDING})["why"] == ["HINT_ABSENT"]
    swapped = {"voice": RECORDING + b"\0", "voice-hint": token_for(server)}
    told = submit(receiver, swapped)
    assert (told["hint"], told["until_screened"], told["why"]) == ("none", "hold", ["HINT_WRONG_FILE"])
    with pytest.raises(urllib.error.HTTPError, match="400"):
        submit(receiver, {"voice-hint": "x"})
