"""The playground of the documentation: what is set there is what the element gets and what the HTML says."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Server
from tests.browser.form_page import FormPage


def opened(page: Page, server: Server, query: str = "") -> FormPage:
    """Open the playground and wait for its controls."""
    form = FormPage(page, f"{server.url}/docs/playground{query}").open()
    page.locator("#set-show").wait_for()
    return form


def test_settings_reach_element_html_and_address(page: Page, server: Server) -> None:
    """A value, a bare attribute, a text with a quotation mark in it."""
    form = opened(page, server)
    page.get_by_label("show", exact=True).select_option("score")
    page.get_by_label("record", exact=True).check()
    page.get_by_label("session", exact=True).fill('a "b"')
    page.get_by_label("session", exact=True).press("Tab")
    code = page.locator("#code")
    expect(code).to_contain_text('<prelisten-check record session="a &quot;b&quot;" show="score">')
    element = page.locator("#stage prelisten-check")
    assert element.get_attribute("session") == 'a "b"'
    assert element.get_attribute("record") == ""
    page.goto(page.url)
    expect(page.locator("#code")).to_contain_text('show="score"')
    assert form.told("CSP") == form.told("ERROR") == []


def test_attribute_of_the_page_leads_to_its_control(page: Page, server: Server) -> None:
    """Each name in the table can be tried."""
    page.goto(f"{server.url}/docs/widget")
    page.get_by_role("link", name="appearance", exact=True).click()
    expect(page.locator("#appearance")).to_be_in_viewport()


def test_pages_fit_a_phone(page: Page, server: Server) -> None:
    """At 320 px tables and code scroll in themselves, not the page."""
    page.set_viewport_size({"width": 320, "height": 800})
    for name in ("widget", "detector", "settings", "languages", "playground"):
        page.goto(f"{server.url}/docs/{name}")
        if name == "playground":
            page.locator("#set-show").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, name
