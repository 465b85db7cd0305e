"""No accessibility rule that a machine can check is broken, on any of our pages, in any colour scheme."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser import scripted_worker as worker
from tests.browser.conftest import Server
from tests.browser.form_page import FormPage, lift_limits
from tests.recordings import speech_like, wav_bytes

MOVING = {"forced_colors": "none", "reduced_motion": "no-preference"}
SCHEMES = {
    "light": MOVING | {"color_scheme": "light"},
    "dark": MOVING | {"color_scheme": "dark"},
    "forced": MOVING | {"color_scheme": "light", "forced_colors": "active"},
    "still": MOVING | {"color_scheme": "dark", "reduced_motion": "reduce"},
}
FULL = os.environ.get("TEST_SIZE") == "full"
# Colour scheme and width in CSS pixels.
LOOKS = (
    [(scheme, width) for scheme in SCHEMES for width in (1100, 320) if (scheme, width) != ("still", 1100)]
    if FULL
    else [
        ("light", 1100),
        ("dark", 320),
        ("forced", 320),
    ]
)
RIGHT_TO_LEFT = LOOKS if FULL else [("light", 320)]
THEME = "(element, theme) => element.setAttribute('theme', theme)"
# What `theme` says against the page's own colours.
AGAINST = [("dark", "light"), ("light", "dark")] if FULL else []
VOICE = wav_bytes(speech_like(8.0, seed=54))
REASONS = [
    worker.reason(code, (4.0, 8.0), (12.0, 16.0))
    for code in ("PITCH", "RHYTHM", "OVERTONES", "HIGH_BANDS", "BREAKS", "RESONANCES")
]
HIGH = worker.finished("high", [0.2, 0.9, 0.1, 0.95], reasons=REASONS)
IN_PIECES = worker.finished("elevated", [0.2, 0.9], windows=[(0.0, 4.0), (700.0, 704.0)], total_s=900.0)
LISTENING = worker.progress(
    "analysing",
    0.4,
    seconds=12.0,
    total=30.0,
    hint={"band": "clear", "speech_s": 9.0},
    peaks=worker.outline([(0.0, 12.0)]),
)
# Which edges of the element's controls have less than 3:1 against the ground of the page's card.
CONTRASTS = """(element) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (...colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    const light = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
      .map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2];
  };
  const ground = getComputedStyle(element.closest(".card")).backgroundColor;
  const controls = [element.querySelector("input"), ...element.shadowRoot.querySelectorAll("button")];
  return controls.flatMap((control) => {
    const edge = getComputedStyle(control).borderTopColor;
    const [a, b] = [over(ground), over(ground, edge)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    return ratio < 3 ? [`${control.localName} ${edge} ${ratio.toFixed(2)}`] : [];
  });
}"""
SILENCE = worker.reason("SILENCE", weight=0.0)


def violations(page: Page) -> list[str]:
    """Return each broken rule with the first element that breaks it."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate("axe.run()")["violations"]
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:160]}" for rule in found]


def check_looks(page: Page, looks: Iterable[tuple[str, int]] = LOOKS) -> None:
    """Check the page as it stands in each colour scheme and width."""
    for scheme, width in looks:
        page.emulate_media(**SCHEMES[scheme])
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == [], f"{scheme}, {width} px"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{scheme}, {width} px"


def press(name: str) -> Callable[[Page], None]:
    """Return what presses a button."""
    return lambda page: page.get_by_role("button", name=name, exact=True).click()


def open_all(page: Page) -> None:
    """Unfold everything."""
    for summary in page.locator("prelisten-check summary").all():
        summary.click()


def send_early(page: Page) -> None:
    """Press Send where nothing more comes, and the form is held all the while."""
    lift_limits(page)
    page.locator("#send").click()


def send_into_nothing(page: Page) -> None:
    """Press Send where the server never answers the seal."""
    page.route("**/seal", lambda route: None)
    send_early(page)


# name: what the worker says, attributes of the element, what the person does then, the state
STATES: dict[str, tuple[list[dict], dict[str, str], Callable[[Page], None] | None, str]] = {
    "loading": ([worker.progress("loading", 0.3)], {}, None, "loading"),
    "reading": ([worker.progress("reading", 0.3)], {}, None, "reading"),
    "analysing": ([LISTENING], {}, None, "analysing"),
    "held": ([LISTENING], {}, send_early, "analysing"),
    "clear": ([worker.finished("clear", [0.1, 0.1])], {}, press("Play"), "done"),
    "elevated, in pieces": ([IN_PIECES], {"show": "score"}, None, "done"),
    "high, opened": ([HIGH], {}, open_all, "done"),
    "inconclusive": ([worker.finished("inconclusive", [None, None], reasons=[SILENCE])], {}, None, "done"),
    "nothing shown": ([HIGH], {"show": "nothing"}, None, "done"),
    "compact": ([HIGH], {"appearance": "compact", "declare": "", "record": ""}, None, "done"),
    "status": ([HIGH], {"appearance": "status"}, None, "done"),
    "none": ([HIGH], {"appearance": "none"}, None, "done"),
    "sealing": ([HIGH], {}, send_into_nothing, "sealing"),
    "unsupported": ([worker.failed("undecodable")], {}, None, "unsupported"),
    "error": ([worker.failed("detector_failed")], {}, None, "error"),
    "offline": ([worker.failed("offline")], {}, None, "offline"),
    "cancelled": ([LISTENING], {}, press("Cancel"), "cancelled"),
    "stale": ([worker.failed("stale")], {}, None, "stale"),
    "timeout": ([worker.failed("timeout")], {}, None, "timeout"),
}


@pytest.mark.parametrize("name", STATES)
def test_no_state_breaks_a_rule(page: Page, server: Server, name: str) -> None:
    """Every state of the element: colours, its own theme, reduced motion, wide and narrow, in both directions."""
    messages, attributes, act, state = STATES[name]
    worker.play(page, *messages)
    form = FormPage(page, server.url).open()
    page.locator("prelisten-check").evaluate(
        "(element, all) => Object.entries(all).forEach(([key, value]) => element.setAttribute(key, value))",
        attributes,
    )
    form.choose(VOICE)
    if act:
        form.wait_for("analysing", "done")
        act(page)
    form.wait_for(state)
    check_looks(page)
    for theme, scheme in AGAINST:
        page.locator("prelisten-check").evaluate(THEME, theme)
        check_looks(page, [(scheme, 320)])
    page.locator("prelisten-check").evaluate(THEME, "auto")
    page.locator("html").evaluate("(html) => { html.lang = 'ar'; html.dir = 'rtl'; }")
    page.locator("prelisten-check [part=base][lang=ar]").wait_for()
    check_looks(page, RIGHT_TO_LEFT)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_edges_of_controls_are_seen(page: Page, server: Server, scheme: str) -> None:
    """The field and the buttons stand out from the ground by 3:1 (WCAG 1.4.11)."""
    page.emulate_media(color_scheme=scheme)
    worker.play(page, HIGH)
    form = FormPage(page, server.url).open()
    form.choose(VOICE)
    form.wait_for("done")
    page.get_by_role("slider").wait_for()
    low = page.locator("prelisten-check").evaluate(CONTRASTS)
    assert low == []


@pytest.mark.parametrize(
    ("content", "state"),
    [(None, "idle"), (wav_bytes(speech_like(5.0, seed=51)), "done"), (b"no recording", "unsupported")],
    ids=["idle", "done", "unsupported"],
)
def test_form_breaks_no_rule(form: FormPage, content: bytes | None, state: str):
    """The form, before and after a check, and with a file that is none."""
    if content is not None:
        form.choose(content)
    form.wait_for(state)
    check_looks(form.page)


def test_submission_breaks_no_rule(form: FormPage):
    """The page that a sender is led to."""
    form.choose(wav_bytes(speech_like(5.0, seed=52)))
    form.wait_for("done")
    form.send()
    form.page.locator("[data-decision]:not([data-decision=hold])").wait_for(timeout=30_000)
    check_looks(form.page)


def test_error_page_breaks_no_rule(page: Page, server: Server):
    """A page that says that something did not work."""
    page.goto(f"{server.url}/submissions/none")
    check_looks(page)


def test_review_breaks_no_rule(page: Page, strict_server: Server):
    """Signed out, signing in, the list, an open case and a resolved one."""
    form = FormPage(page, strict_server.url).open()
    form.choose(wav_bytes(speech_like(5.0, seed=53)), name="axe.wav")
    form.wait_for("done")
    form.send()
    page.locator("[data-decision=review]").wait_for(timeout=30_000)
    page.goto(f"{strict_server.url}/review/")
    check_looks(page)
    page.goto(strict_server.new_review_link())
    check_looks(page)
    page.get_by_label("Your name").fill("Mona")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/review")
    check_looks(page)
    page.get_by_role("link", name="axe.wav").first.click()
    page.locator("#player").wait_for()
    check_looks(page)
    page.get_by_role("radio", name="Cannot tell").check()
    page.get_by_role("button", name="Resolve").click()
    page.get_by_role("link", name="Resolved").click()
    page.get_by_role("link", name="axe.wav").first.click()
    check_looks(page)
