"""The picture of a recording: what it shows, in words too; playing from any place of it, by mouse and by keyboard."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import scripted_worker as worker
from tests.browser.conftest import Server
from tests.browser.form_page import FormPage
from tests.recordings import FORMATS, speech_like, wav_bytes

VOICE = wav_bytes(speech_like(24.0, seed=61))
SIX = [0.1, 0.9, 0.8, 0.2, 0.1, 0.95]  # Marked: 4 to 12 s and 20 to 24 s.
REASONS = [
    worker.reason("PITCH", (4.0, 8.0), (20.0, 24.0)),
    worker.reason("RHYTHM", (8.0, 12.0)),
]
CODES = ["PITCH", "RHYTHM", "OVERTONES", "HIGH_BANDS", "FINE_TEXTURE", "RESONANCES", "BREAKS"]
LONG = worker.finished(
    "elevated",
    [0.1, 0.2, 0.9, 0.1, 0.2, 0.1],
    windows=[(0.0, 8.0), (500.0, 508.0), (1192.0, 1200.0)],
)
# Runs before the page's scripts: what the status region says, each time that it changes.
LISTEN = """
customElements.whenDefined("prelisten-check").then(async () => {
  const element = document.querySelector("prelisten-check");
  await element.updateComplete;
  const status = element.shadowRoot.querySelector("[role=status]");
  new MutationObserver(() => console.log("SAID " + status.textContent)).observe(
    status, { characterData: true, childList: true, subtree: true });
});
"""


def drawn(page: Page, server: Server, *messages: dict, content: bytes = VOICE, **attributes: str) -> FormPage:
    """Open the form with these attributes on the element, and choose a recording that the script speaks about."""
    worker.play(page, *messages)
    form = FormPage(page, server.url).open()
    for name, value in attributes.items():
        page.locator("prelisten-check").evaluate(
            "(element, [name, value]) => element.setAttribute(name, value)", [name, value]
        )
    form.choose(content)
    form.wait_for("done")
    return form


@pytest.fixture
def high(page: Page, server: Server) -> FormPage:
    """A recording of 24 s with two marked places, and two reasons."""
    form = drawn(page, server, worker.finished("high", SIX, reasons=REASONS))
    form.page.get_by_role("slider").wait_for()
    return form


def audio_of(form: FormPage) -> Locator:
    """Return the native player."""
    return form.page.locator("prelisten-check audio")


def seconds_of(form: FormPage) -> float:
    """Return where it stands."""
    return audio_of(form).evaluate("(audio) => audio.currentTime")


def focused(form: FormPage) -> str:
    """Return what a screen reader would call the element with the focus."""
    return form.page.evaluate(
        """() => {
          let at = document.activeElement;
          while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
          return at.ariaLabel ?? at.labels?.[0]?.textContent ?? at.textContent.trim();
        }"""
    )


def test_real_recording_is_drawn_and_plays(form: FormPage) -> None:
    """The whole way: heard by the real worker, drawn, played from the file itself, nothing against the policy."""
    form.choose(wav_bytes(speech_like(12.0, seed=62)))
    form.wait_for("done")
    expect(form.page.get_by_role("slider", name="Place in the recording")).to_have_attribute(
        "aria-valuetext", "0:00 of 0:12"
    )
    bars = form.page.locator("prelisten-check path.wave").first.get_attribute("d") or ""
    assert len(bars.split("M")) > 40
    form.page.get_by_role("button", name="Play", exact=True).click()
    form.page.get_by_role("button", name="Pause").wait_for()
    expect(form.page.locator("prelisten-check .time")).to_have_text(re.compile("0:0[1-9] / 0:12"))
    assert seconds_of(form) > 0.4
    assert form.told("CSP") == form.told("ERROR") == []
    assert [r.url for r in form.requests if not r.url.startswith((form.url, "blob:", "data:"))] == []


@pytest.mark.parametrize("ending", ["mp3", "opus", "flac", "m4a"])
def test_other_formats_play_from_a_place(page: Page, server: Server, ending: str) -> None:
    """What browsers decode they also play, from the very place."""
    content = FORMATS[ending](speech_like(24.0, seed=63, rate=48_000), 48_000)
    form = drawn(page, server, worker.finished("high", SIX), content=content)
    page.get_by_role("button", name="Play 0:20–0:24").click()
    expect(audio_of(form)).to_have_js_property("paused", False)
    assert 20.0 <= seconds_of(form) < 24.0


def test_mark_plays_its_place_and_stops(high: FormPage) -> None:
    """The first sound is that of the place, the last one too."""
    high.page.get_by_role("toolbar", name="More signs here").get_by_role(
        "button", name="Play 0:20–0:24"
    ).click()
    expect(audio_of(high)).to_have_js_property("paused", False)
    assert 20.0 <= seconds_of(high) < 24.0
    audio_of(high).evaluate("(audio) => { audio.playbackRate = 8; }")
    expect(audio_of(high)).to_have_js_property("paused", True)
    assert seconds_of(high) >= 23.5


def test_reason_plays_its_place(high: FormPage) -> None:
    """Each reason has the places that it is about."""
    high.page.get_by_role("toolbar", name="Fast rhythm").get_by_role("button", name="Play 0:08–0:12").click()
    expect(audio_of(high)).to_have_js_property("paused", False)
    assert 8.0 <= seconds_of(high) < 12.0


def test_click_in_the_picture_plays_from_there(high: FormPage) -> None:
    """Three quarters across is three quarters of the time."""
    slider = high.page.get_by_role("slider")
    box = slider.bounding_box()
    assert box
    slider.click(position={"x": 0.75 * box["width"], "y": 20})
    expect(audio_of(high)).to_have_js_property("paused", False)
    assert seconds_of(high) == pytest.approx(18.0, abs=1.0)


def test_tab_order(high: FormPage) -> None:
    """From the input through the picture, its marks and the reasons to the form's own button: one stop a group."""
    high.page.locator("input[type=file]").focus()
    stops = []
    while "Send" not in stops:
        high.page.keyboard.press("Tab")
        stops.append(focused(high))
    assert stops == [
        "Place in the recording",
        "Play",
        "Play 0:04–0:12",
        "Play 0:04–0:08",
        "Play 0:08–0:12",
        "Send",
    ]


def test_slider_is_steered_by_keys(high: FormPage) -> None:
    """Arrows a second, Page keys ten, Home and End; Enter plays and pauses; it says where it is and what is there."""
    slider = high.page.get_by_role("slider")
    slider.focus()
    for key, seconds in (
        ("ArrowRight", 1.0),
        ("ArrowUp", 2.0),
        ("ArrowLeft", 1.0),
        ("PageUp", 11.0),
        ("PageDown", 1.0),
        ("End", 24.0),
        ("Home", 0.0),
        ("ArrowLeft", 0.0),
    ):
        slider.press(key)
        expect(audio_of(high)).to_have_js_property("seeking", False)
        assert seconds_of(high) == pytest.approx(seconds, abs=0.01), key
    slider.press("PageUp")
    expect(slider).to_have_attribute("aria-valuetext", "0:10 of 0:24. More signs here")
    slider.press("Enter")
    expect(audio_of(high)).to_have_js_property("paused", False)
    slider.press("Enter")
    expect(audio_of(high)).to_have_js_property("paused", True)
    assert seconds_of(high) >= 10.0


def test_keys_move_among_the_marks(high: FormPage) -> None:
    """Arrows inside the group, Enter plays; Tab comes back to the one that had the focus."""
    high.page.get_by_role("button", name="Play 0:04–0:12").focus()
    high.page.keyboard.press("ArrowRight")
    assert focused(high) == "Play 0:20–0:24"
    high.page.keyboard.press("ArrowRight")
    assert focused(high) == "Play 0:04–0:12"
    high.page.keyboard.press("End")
    high.page.keyboard.press("Enter")
    expect(audio_of(high)).to_have_js_property("paused", False)
    assert 20.0 <= seconds_of(high) < 24.0
    high.page.keyboard.press("Tab")
    high.page.keyboard.press("Shift+Tab")
    assert focused(high) == "Play 0:20–0:24"


def test_arrows_follow_the_direction_of_writing(high: FormPage) -> None:
    """Where one writes from the right, the next mark is on the left; time still runs to the right."""
    high.page.locator("html").evaluate("(html) => { html.dir = 'rtl'; }")
    high.page.get_by_role("button", name="Play 0:04–0:12").focus()
    high.page.keyboard.press("ArrowLeft")
    assert focused(high) == "Play 0:20–0:24"
    high.page.get_by_role("slider").press("ArrowRight")
    assert seconds_of(high) == pytest.approx(1.0, abs=0.01)


def test_what_was_not_listened_to_is_drawn_and_said(page: Page, server: Server) -> None:
    """Of twenty minutes three pieces were heard: the rest is hatched, named in the legend, and listed."""
    form = drawn(page, server, LONG)
    expect(page.locator("prelisten-check .unheard[fill]")).to_have_count(2)
    expect(page.locator("prelisten-check figcaption")).to_contain_text("Not listened to")
    told = page.locator("prelisten-check div.unseen").inner_text()
    assert "Listened to: 0:00–0:08, 8:20–8:28, 19:52–20:00." in told
    assert "Not listened to: 0:08–8:20, 8:28–19:52." in told
    assert "More signs at: 8:20–8:24." in told
    slider = page.get_by_role("slider")
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuemax", "1200")
    assert form.told("ERROR") == []


def test_heard_pieces_keep_their_proportions(page: Page, server: Server) -> None:
    """Segments of equal length are equally wide, however long the gaps between them are."""
    drawn(page, server, LONG)
    expect(page.locator("prelisten-check [part=segment]")).to_have_count(6)
    widths = page.locator("prelisten-check [part=segment]").evaluate_all(
        "(all) => all.map((each) => each.getBoundingClientRect().width)"
    )
    assert len(widths) == 6
    assert max(widths) - min(widths) < 1


@pytest.mark.parametrize("band", ["clear", "inconclusive"])
def test_nothing_is_marked_without_signs(page: Page, server: Server, band: str) -> None:
    """A loud segment in a recording whose band says nothing is no accusation."""
    drawn(page, server, worker.finished(band, SIX))
    page.get_by_role("slider").wait_for()
    assert page.locator("prelisten-check :is(.mark, .place)").count() == 0


def test_hits_are_large_enough(page: Page, server: Server) -> None:
    """Everything that can be pressed is at least 24 pixels high and wide, on the narrowest screen."""
    page.set_viewport_size({"width": 320, "height": 900})
    reasons = [worker.reason(code, (0.0, 4.0), (8.0, 12.0)) for code in CODES]
    drawn(page, server, worker.finished("high", SIX, reasons=reasons))
    page.get_by_text("Show the rest").click()
    small = page.locator("prelisten-check :is(button, summary, [role=slider])").evaluate_all(
        """(all) => all.map((each) => [each.textContent.trim(), each.getBoundingClientRect()])
             .filter(([, box]) => box.width < 24 || box.height < 24)"""
    )
    assert small == []


def test_all_reasons_can_be_read(page: Page, server: Server) -> None:
    """The first five stand there; the rest can be opened, and it says how many."""
    reasons = [worker.reason(code, (0.0, 4.0)) for code in CODES]
    drawn(page, server, worker.finished("high", SIX, reasons=reasons))
    assert page.locator("prelisten-check li:visible").count() == 5
    page.get_by_text("Show the rest (2)").click()
    assert page.locator("prelisten-check li:visible").count() == 7


def test_limit_of_a_place_says_where(page: Page, server: Server) -> None:
    """That nothing can be said is about that place alone."""
    limit = worker.reason("NOT_SPEECH", (12.0, 16.0), weight=0.0)
    form = drawn(page, server, worker.finished("clear", SIX, reasons=[limit]))
    page.get_by_role("toolbar", name="No clear speech").get_by_role("button", name="Play 0:12–0:16").click()
    expect(audio_of(form)).to_have_js_property("paused", False)


def test_picture_can_be_left_out(page: Page, server: Server) -> None:
    """`waveform="off"`: its script is not even asked for, and the places stand as text."""
    form = drawn(page, server, worker.finished("high", SIX, reasons=REASONS), waveform="off")
    assert page.locator("prelisten-check :is(figure, audio)").count() == 0
    assert "Most clearly at" in form.text()
    assert [r.url for r in form.requests if r.url.endswith("/waveform.js")] == []


def test_everything_is_said_where_the_picture_cannot_be_loaded(page: Page, server: Server) -> None:
    """Its script does not come: the result is there all the same."""
    page.route("**/waveform.js", lambda route: route.abort())
    form = drawn(page, server, worker.finished("high", SIX, reasons=REASONS))
    assert "Strong signs of synthetic speech" in form.text()
    assert "Most clearly at" in form.text()
    assert form.told("ERROR") == []


def test_file_that_cannot_be_played_is_said(page: Page, server: Server) -> None:
    """The detector's own reader may know a file that the browser does not play."""
    drawn(page, server, worker.finished("high", SIX), content=b"no recording at all")
    page.get_by_role("button", name="Play", exact=True).click()
    page.get_by_text("This browser cannot play the recording.").wait_for()
    assert page.locator("prelisten-check .play").count() == 0


def test_only_one_recording_sounds(high: FormPage) -> None:
    """A reset lets go of the file, and the sound ends with it."""
    high.page.get_by_role("button", name="Play", exact=True).click()
    expect(audio_of(high)).to_have_js_property("paused", False)
    sound = audio_of(high).element_handle()
    high.page.locator("prelisten-check").evaluate("(element) => element.reset()")
    expect(audio_of(high)).to_have_count(0)
    assert sound
    assert sound.evaluate("(audio) => [audio.paused, audio.hasAttribute('src')]") == [True, False]


def test_band_that_is_not_to_be_shown_is_not_drawn(page: Page, server: Server) -> None:
    """`show="nothing"`: the recording is drawn and plays; nothing tells where signs are."""
    drawn(page, server, worker.finished("high", SIX, reasons=REASONS), show="nothing")
    page.get_by_role("slider").wait_for()
    assert page.locator("prelisten-check :is(.mark, .place, [part=segment], [part=reason])").count() == 0
    assert "signs" not in page.locator("prelisten-check .panel").inner_text()


@pytest.mark.parametrize(
    ("appearance", "seen"),
    [
        ("standard", ["summary", "timeline", "reasons", "coverage"]),
        ("compact", ["summary"]),
        ("status", ["summary"]),
        ("none", []),
    ],
)
def test_appearance(page: Page, server: Server, appearance: str, seen: list[str]) -> None:
    """How much of the result is seen at once; compact has the rest folded away."""
    drawn(page, server, worker.finished("high", SIX, reasons=REASONS), appearance=appearance)
    for part in ("summary", "timeline", "reasons", "coverage"):
        expect(page.locator(f"prelisten-check [part={part}]")).to_be_visible(visible=part in seen)
    if appearance == "compact":
        page.get_by_text("Details").click()
        expect(page.locator("prelisten-check [part=timeline]")).to_be_visible()


def test_announcements(page: Page, server: Server) -> None:
    """One at the start, at most one per quarter, exactly one at the end; playing says nothing in between."""
    steps = [worker.progress("analysing", k / 30, seconds=k * 0.8, total=24.0) for k in range(31)]
    worker.play(page, worker.progress("reading", 0.5), *steps, worker.finished("high", SIX), pause_ms=60)
    page.add_init_script(LISTEN)
    form = FormPage(page, server.url).open()
    form.choose(VOICE)
    form.wait_for("done")
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_timeout(600)
    said = [line.removeprefix("SAID ") for line in form.told("SAID ") if line != "SAID "]
    assert said[0] == "Checking your recording."
    assert said[-1].startswith("Strong signs of synthetic speech.")
    quarters = said[1:-1]
    assert quarters == sorted(set(quarters))
    assert set(quarters) <= {"25 percent checked.", "50 percent checked.", "75 percent checked."}


@pytest.mark.parametrize("width", [1100, 320])
def test_result_moves_the_form_below_by_little(page: Page, server: Server, width: int) -> None:
    """The picture's room is kept while it listens: a button stays under the pointer that is about to press it."""
    page.set_viewport_size({"width": width, "height": 900})
    listening = worker.progress("analysing", 0.4, seconds=12.0, total=24.0)
    places = []
    for message, state in ((listening, "analysing"), (worker.finished("clear", [0.1] * 6), "done")):
        worker.play(page, message)
        form = FormPage(page, server.url).open()
        form.choose(VOICE)
        form.wait_for(state)
        if state == "done":
            page.get_by_role("slider").wait_for()
        places.append(page.locator("#send").bounding_box())
    before, after = places
    assert abs(after["y"] - before["y"]) < after["height"] / 2


@pytest.mark.parametrize(("show", "is_told"), [("band", True), ("nothing", False)])
def test_rolling_band_is_shown_where_bands_are(page: Page, server: Server, show: str, is_told: bool) -> None:
    """While it listens the panel says what it would say so far, in words that promise nothing; and only for eyes."""
    hint = {"band": "elevated", "speech_s": 9.0}
    worker.play(page, worker.progress("analysing", 0.4, seconds=12.0, total=24.0, hint=hint))
    form = FormPage(page, server.url).open()
    page.locator("prelisten-check").evaluate("(element, show) => element.setAttribute('show', show)", show)
    form.choose(VOICE)
    form.wait_for("analysing")
    expect(page.locator("[part=summary]")).to_be_visible()
    told = "So far, and it may still change: Some signs of synthetic speech" in form.text()
    assert told == is_told
    assert "So far" not in page.get_by_role("status").inner_text()


def test_outline_grows_while_it_listens(form: FormPage) -> None:
    """The picture of a real recording begins before the result; what pages are told is without it."""
    form.page.evaluate(
        """() => {
          const element = document.querySelector("prelisten-check");
          element.addEventListener("prelisten-progress", async ({ detail }) => {
            await element.updateComplete;
            const path = element.shadowRoot.querySelector(".preview .wave");
            const ends = path?.getAttribute("d").split("M").length - 1;
            console.log("OUTLINE " + JSON.stringify([detail.fraction, ends || 0, "peaks" in detail]));
          });
        }"""
    )
    form.choose(wav_bytes(speech_like(120.0, seed=62)))
    form.wait_for("done")
    told = [json.loads(line.removeprefix("OUTLINE ")) for line in form.told("OUTLINE")]
    assert not any(has_peaks for _, _, has_peaks in told)
    counts = [count for _, count, _ in told if count]
    assert len(set(counts)) > 2, told
    assert counts[0] < counts[-1]
