"""Whose word counts: trusted proxies alone, read from the end, and never for the host or the path."""

from __future__ import annotations

import pytest
from werkzeug.test import create_environ, run_wsgi_app
from werkzeug.wrappers import Request, Response

from prelisten.proxy import FORWARDED, BehindProxies, read_trusted
from prelisten.routes.client import client_address


@Request.application
def app(request: Request) -> Response:
    """Answer with what the application would believe."""
    told = [
        request.remote_addr,
        request.scheme,
        request.host,
        request.script_root,
        FORWARDED in request.environ,
    ]
    return Response(" ".join(str(part or "-") for part in told))


def asked(trusted: str, *, peer: str = "10.0.0.1", prefix: str = "", **headers: str) -> list[str]:
    """Ask through the middleware from `peer`; return what the application believes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    environ = create_environ("/", "http://site.example", headers=named) | {"REMOTE_ADDR": peer}
    wrapped = BehindProxies(app, trusted=read_trusted(trusted), prefix=prefix)
    return run_wsgi_app(wrapped, environ)[0].__next__().decode().split()


@pytest.mark.parametrize(
    ("trusted", "peer", "stated", "believed"),
    [
        ("", "10.0.0.1", "192.0.2.1", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "192.0.2.1", "10.0.0.2"),
        ("10.0.0.1", "10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "10.0.0.1", "198.51.100.9, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.0/8", "10.0.0.1", "198.51.100.9, 192.0.2.1, 10.0.0.7", "192.0.2.1"),
        ("10.0.0.0/8", "10.0.0.1", "10.9.9.9", "10.9.9.9"),
        ("10.0.0.1", "::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("1", "10.0.0.1", "198.51.100.9, 192.0.2.1", "192.0.2.1"),
        ("2", "10.0.0.1", "192.0.2.1, 203.0.113.4", "192.0.2.1"),
        ("2001:db8::/32", "2001:db8::5", "2001:db8:1::1, 192.0.2.1", "192.0.2.1"),
    ],
)
def test_address_is_the_first_that_no_trusted_proxy_has(trusted, peer, stated, believed):
    """What stands before it was written by the client, and is not heard."""
    assert asked(trusted, peer=peer, X_Forwarded_For=stated)[0] == believed


def test_scheme_comes_from_a_trusted_proxy_alone():
    """And only as one of the two words that it may be."""
    assert asked("10.0.0.1", X_Forwarded_Proto="https")[1] == "https"
    assert asked("10.0.0.9", X_Forwarded_Proto="https")[1] == "http"
    assert asked("10.0.0.1", X_Forwarded_Proto="javascript")[1] == "http"


def test_host_and_path_are_never_taken_from_a_header():
    """A proxy that does not set them would pass on what anybody sends."""
    believed = asked("10.0.0.1", X_Forwarded_Host="evil.example", X_Forwarded_Prefix="/evil", prefix="/check")
    assert believed[2:4] == ["site.example", "/check"]


@pytest.mark.parametrize("name", ["X_Forwarded_For", "Forwarded", "X_Real_IP", "Via"])
def test_a_forwarded_request_is_known_as_one(name):
    """Also when nobody is trusted: what is meant for this machine alone asks for that."""
    assert asked("", **{name: "127.0.0.1"})[4] == "True"
    assert asked("")[4] == "-"


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.0/33", "1, 2", "-1"])
def test_unfit_setting_is_refused(text):
    """A typing error must not make every peer trusted, or none."""
    with pytest.raises(ValueError, match=r"\S"):
        read_trusted(text)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "unknown"),
    ],
)
def test_limits_count_customers(address, counted):
    """One address of IPv4, one network of IPv6."""
    assert client_address(Request({"REMOTE_ADDR": address})) == counted
