"""Behind a real nginx: TLS, a path of its own, the client's real address, and what stays closed to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from tests.browser.conftest import PRELISTEN, Server, free_port, start_server
from tests.recordings import speech_like, wav_bytes

NGINX = (
    os.environ.get("TEST_NGINX")
    or shutil.which("nginx")
    or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
)
ROOT = Path(__file__).resolve().parents[2]
PROXY = "127.0.0.9"  # On Linux every 127.x.y.z is this machine's: the proxy gets an address of its own.

pytestmark = pytest.mark.skipif(
    NGINX is None,
    reason="NOTHING HERE WAS TESTED: no nginx. `python3 build.py test` installs it as root on Debian and Ubuntu.",
)


@dataclass
class Proxied:
    """A server below `/check` of an nginx that ends TLS."""

    server: Server
    port: int
    trust: ssl.SSLContext

    @property
    def origin(self) -> str:
        """The origin of its pages."""
        return f"https://localhost:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, source: str = "127.0.0.1", **headers: str
    ) -> Answer:
        """Ask nginx from a source address of this machine."""
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=30, context=self.trust, source_address=(source, 0)
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return answer_of(connection, method, path, body, named)

    def send(self, content: bytes, path: str = "/check/", name: str = "voice", **headers: str) -> Answer:
        """Send a form with a recording."""
        boundary, body = _form(name, content)
        return self.ask(
            "POST",
            path,
            body,
            Content_Type=f"multipart/form-data; boundary={boundary}",
            Origin=self.origin,
            **headers,
        )


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def answer_of(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
) -> Answer:
    """Ask once over a connection of its own."""
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        got = connection.getresponse()
        return Answer(got.status, dict(got.getheaders()), got.read())


def _form(name: str, content: bytes) -> tuple[str, bytes]:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a.wav"\r\n\r\n'.encode()
    return "b", head + content + b"\r\n--b--\r\n"


def documented_configuration() -> str:
    """Return the configuration of the production page: what is tested is what people copy."""
    page = (ROOT / "web" / "docs" / "production.md").read_text()
    return re.search(r"```nginx\n(.*?)```", page, re.DOTALL)[1]


@contextlib.contextmanager
def nginx(folder: Path, app_port: int) -> Iterator[tuple[int, ssl.SSLContext]]:
    """Run nginx with the documented configuration, changed only in names, ports and files."""
    port = free_port()
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "cert.pem"))
    site = documented_configuration()
    for documented, here in {
        "listen 443 ssl;": f"listen {port} ssl;",
        "listen [::]:443 ssl;": "",
        "voice.example": "localhost",
        "/etc/letsencrypt/live/localhost/fullchain.pem": str(folder / "cert.pem"),
        "/etc/letsencrypt/live/localhost/privkey.pem": str(folder / "cert.pem"),
        "http://127.0.0.1:8000/": f"http://127.0.0.1:{app_port}/",
        "proxy_http_version 1.1;": f"proxy_http_version 1.1; proxy_bind {PROXY};",
    }.items():
        assert documented in site, documented
        site = site.replace(documented, here)
    configuration = folder / "nginx.conf"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{ access_log off;\n{temporary}{site} }}\n"
    )
    process = subprocess.Popen(
        [NGINX, "-c", str(configuration), "-p", str(folder), "-e", str(folder / "error.log")]
    )
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"nginx did not start:\n{(folder / 'error.log').read_text()}")
        yield port, trust
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """A real server behind a real nginx, each with one upload a minute for an address."""
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    server = start_server(
        folder / "data",
        public_url="https://localhost/check",
        trusted_proxies=PROXY,
        upload_rate_limit="2/hour",
        workers="0",
        wait_s="0",
    )
    port = int(server.url.rpartition(":")[2])
    with nginx(folder, port) as (tls_port, trust):
        yield Proxied(server, tls_port, trust)
    server.stop()


def test_pages_work_below_a_path(proxied):
    """Every address on the page begins with the path, and leads somewhere."""
    page = proxied.ask("GET", "/check/")
    addresses = re.findall(r'(?:src|href|action)="(/[^"]*)"', page.text)
    assert page.status == 200
    assert addresses
    for address in addresses:
        assert address.startswith("/check/"), address
        assert proxied.ask("GET", address).status in (200, 401), address


def test_the_widgets_calls_are_of_its_own_origin(proxied):
    """The origin that a browser states over TLS is the one that the server believes to have."""
    body = json.dumps({"action": "voice-upload"}).encode()
    told = proxied.ask(
        "POST", "/check/prelisten/v1/challenge", body, Origin=proxied.origin, Sec_Fetch_Site="same-origin"
    )
    assert told.status == 200, told.text
    assert (
        proxied.ask("POST", "/check/prelisten/v1/challenge", body, Origin="https://x.example").status == 403
    )


def test_form_is_sent_and_leads_below_the_path(proxied):
    """From the form to the submission's page, through the proxy both times."""
    sent = proxied.send(wav_bytes(speech_like(seed=1)), source="127.0.0.30")
    assert sent.status == 303
    assert sent.headers["Location"].startswith("/check/submissions/")
    page = proxied.ask("GET", sent.headers["Location"])
    assert 'data-decision="hold"' in page.text
    assert 'data-status="/check/prelisten/v1/uploads/' in page.text


def test_each_client_has_its_own_share(proxied):
    """Limits count the client, not the proxy; a header that the client makes up changes nothing."""
    recording = wav_bytes(speech_like(seed=2))
    first = [proxied.send(recording, source="127.0.0.31").status for _ in range(2)]
    lying = proxied.send(recording, source="127.0.0.31", X_Forwarded_For="192.0.2.1")
    other = proxied.send(recording, source="127.0.0.32")
    assert first == [303, 303]
    assert lying.status == 429
    assert 'data-error="429"' in lying.text
    assert int(lying.headers["Retry-After"]) > 0
    assert other.status == 303


def test_header_of_no_proxy_is_not_heard(proxied):
    """Who reaches the port itself is taken for what it is, whatever it says."""
    port = int(proxied.server.url.rpartition(":")[2])
    boundary, body = _form("file", wav_bytes(speech_like(seed=3)))
    statuses = []
    for number in range(3):
        connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=30, source_address=("127.0.0.33", 0)
        )
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "X-Forwarded-For": f"192.0.2.{number}",
        }
        statuses.append(answer_of(connection, "POST", "/prelisten/v1/uploads", body, headers).status)
    assert statuses == [202, 202, 429]


def test_reviewers_cookie_is_secure_and_stays_below_the_path(proxied):
    """Over TLS the cookie never travels in clear, and other sites of this host never get it."""
    link = subprocess.run(
        [PRELISTEN, "review-link", "--data", str(proxied.server.data)],
        capture_output=True,
        text=True,
        check=True,
        env={"PRELISTEN_PUBLIC_URL": proxied.origin + "/check"},
    ).stdout.strip()
    assert link.startswith(f"{proxied.origin}/check/review/sign-in?code=")
    body = f"code={link.partition('code=')[2]}&reviewer=Ada".encode()
    signed = proxied.ask(
        "POST", "/check/review/sign-in", body, Content_Type="application/x-www-form-urlencoded"
    )
    assert signed.status == 303
    cookie = signed.headers["Set-Cookie"]
    assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/check/review"))
    listed = proxied.ask("GET", signed.headers["Location"], Cookie=cookie.partition(";")[0])
    assert "Signed in as Ada" in listed.text


def test_foreign_host_is_refused(proxied):
    """A name that the site does not have gets no page, so that no link of ours ever carries it."""
    assert proxied.ask("GET", "/check/", Host="evil.example").status in (400, 404, 421)
    port = int(proxied.server.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    assert answer_of(connection, "GET", "/", None, {"Host": "evil.example"}).status == 400


def test_pages_over_tls_carry_what_the_production_page_promises(proxied):
    """TLS from now on, and the microphone for this site alone."""
    headers = proxied.ask("GET", "/check/").headers
    assert "max-age" in headers["Strict-Transport-Security"]
    assert headers["Permissions-Policy"] == "microphone=(self)"


def test_large_upload_streams_through(proxied):
    """Twenty megabytes, which nginx hands on while they arrive."""
    sent = proxied.send(wav_bytes(speech_like(seconds=4, seed=5)) + bytes(20_000_000), source="127.0.0.34")
    assert sent.status == 303
