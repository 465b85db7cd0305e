"""The page's dealings with the server, without a recording: who asks for the same challenge at once shares it."""

from __future__ import annotations

from playwright.sync_api import Page

from prelisten.assets import manifest
from tests.browser.conftest import Server
from tests.browser.form_page import FormPage

CLIENT = f"/prelisten/v1/{manifest()['worker'].replace('worker.js', 'client.js')}"
ASK = """
async ([client, change]) => {
  const { Session } = await import(client);
  const bound = { action: "voice-upload", session: null, test: null };
  const session = new Session(new URL("/prelisten/v1/", location), () => bound);
  const controller = new AbortController();
  const asked = [session.challenge(), session.challenge(controller.signal)];
  if (change) bound.action = "another";
  asked.push(session.challenge());
  controller.abort();
  const answers = await Promise.allSettled(asked);
  const late = new Session(new URL("/prelisten/v1/", location), () => ({ ...bound, action: "late" }));
  await late.challenge(controller.signal).catch(() => {});
  answers.push(...(await Promise.allSettled([session.challenge()])));
  return answers.map(({ value, reason }) => value?.cid ?? reason.name);
}
"""


def ask(page: Page, server: Server, *, change: bool) -> tuple[list[str], int]:
    """Ask three times at once, once too late and once afterwards; return the challenges, and how many requests."""
    form = FormPage(page, server.url).open()
    cids = page.evaluate(ASK, [CLIENT, change])
    return cids, form.posts().count("/prelisten/v1/challenge")


def test_several_at_once_share_one_request(page: Page, server: Server) -> None:
    """Who no longer wants it goes alone; the others get the same one."""
    (first, given_up, other, later), n_requests = ask(page, server, change=False)
    assert (given_up, n_requests) == ("AbortError", 1)
    assert first == other == later


def test_another_binding_is_asked_for_anew(page: Page, server: Server) -> None:
    """A challenge is signed for an action and a session: one that was under way for others will not do."""
    (first, _, other, later), n_requests = ask(page, server, change=True)
    assert first != other
    assert (later, n_requests) == (other, 2)
