"""Rate limits: each process by itself, or all together in Redis; and a Redis that goes away."""

from __future__ import annotations

import pytest
import redis

from prelisten.errors import RateLimitedError
from prelisten.routes.rates import AWAY_S, Rates
from tests.integration.conftest import make_site
from tests.integration.test_routes import API
from tests.integration.test_verify import ask


def hits(rates: Rates, n: int, client: str = "me") -> int:
    """Return how many of `n` requests are taken."""
    waits = []
    for _ in range(n):
        try:
            rates.hit("3/minute", "upload", client)
        except RateLimitedError as refused:
            waits.append(refused.retry_after_s)
    assert all(1 <= wait <= 60 for wait in waits)
    return n - len(waits)


def test_each_process_counts_for_itself():
    assert [hits(Rates(), 5), hits(Rates(), 5)] == [3, 3]


def test_several_processes_count_together_in_redis(redis_server):
    """Two processes give one client one share; another client has its own."""
    one, two = Rates(redis_server.url), Rates(redis_server.url)
    assert hits(one, 2) + hits(two, 5) == 3
    assert hits(two, 5, "somebody else") == 3


def test_redis_that_goes_away_lets_nobody_through_without_a_limit(redis_server):
    """Each process counts for itself meanwhile, does not ask it again at once, and goes back to it later."""
    now = [0.0]
    rates = Rates(redis_server.url, clock=lambda: now[0])
    assert hits(rates, 5) == 3
    redis_server.stop()
    assert hits(rates, 5) == 3
    redis_server.start()
    assert hits(rates, 5) == 0, "it was left alone for a while"
    now[0] += AWAY_S + 1
    assert hits(rates, 5) == 3, "it was asked again, and had forgotten everything"


@pytest.mark.parametrize("path", ["challenge", "seal"])
def test_challenges_and_seals_of_two_processes_share_a_limit(redis_server, tmp_path, path):
    """One address, two processes, one limit; and with Redis away there is still one, for each."""
    sites = [make_site(tmp_path, rate_limit="3/minute", redis_url=redis_server.url) for _ in range(2)]
    codes = [sites[n % 2].client().post(f"{API}/{path}", json={}).status_code for n in range(5)]
    assert codes == [400, 400, 400, 429, 429]
    redis_server.stop()
    codes = [sites[0].client().post(f"{API}/{path}", json={}).status_code for _ in range(5)]
    assert codes == [400, 400, 400, 429, 429]
    for site in sites:
        site.close()


def test_addresses_do_not_stand_in_redis(redis_server, tmp_path):
    """What counts a client there does not say who it is."""
    site = make_site(tmp_path, redis_url=redis_server.url)
    for name in ("challenge", "uploads"):
        site.client().post(f"{API}/{name}", environ_overrides={"REMOTE_ADDR": "203.0.113.77"})
    ask(site, "x")
    with redis.Redis.from_url(redis_server.url) as client:
        names = client.keys()
    site.close()
    assert len(names) >= 3
    assert not [name for name in names if b"203.0.113" in name or b"127.0.0.1" in name]
