"""The documentation as the server shows it: every page, every link, nothing that the strict policy forbids."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest

from prelisten.assets import docs_folder
from prelisten.routes.docs import anchor_of

WEB = Path(__file__).resolve().parents[2] / "web"
PAGES = sorted(path.stem for path in docs_folder().glob("*.md"))


class Reading(HTMLParser):
    """What a page links to, what can be linked to in it, and every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        own = dict(attrs)
        self.tags.append((tag, own))
        self.links += [own[name] or "" for name in ("href", "src") if name in own]
        if own.get("id"):
            self.anchors.append(own["id"] or "")


@pytest.mark.parametrize("name", [*PAGES, "playground"])
def test_every_link_of_a_page_leads_somewhere(site, name):
    """Pages, their sections, pictures, scripts: asked for as a browser would."""
    client, address = site.client(), f"/docs/{name}"
    page = Reading(client.get(address).text)
    attributes = {item["name"] for item in manifest()["attributes"]}
    for link in page.links:
        target, anchor = urldefrag(urljoin(address, link))
        if target.startswith(("http", "data:")):
            continue
        with client.get(target) as answer:
            assert answer.status_code in (200, 302, 401), link  # The review asks who one is.
            if anchor:
                there = Reading(answer.text).anchors
                assert anchor in there or (target.endswith("playground") and anchor in attributes), link
    assert len(page.anchors) == len(set(page.anchors))


@pytest.mark.parametrize("name", [*PAGES, "playground"])
def test_page_needs_nothing_that_the_policy_forbids(site, name):
    """No inline script, no style, no handler; scripts and styles of our own."""
    response = site.client().get(f"/docs/{name}")
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    for tag, attrs in Reading(response.text).tags:
        assert tag != "style"
        assert not [attribute for attribute in attrs if attribute == "style" or attribute.startswith("on")]
        if tag == "script":
            assert (attrs.get("src") or "").startswith("/prelisten/v1/")


def test_html_in_a_page_is_shown_as_text(site, tmp_path, monkeypatch):
    """Markdown may carry markup and addresses of scripts; neither reaches the browser as such."""
    from prelisten.routes import docs

    (tmp_path / "trap.md").write_text("# <b>T</b>\n\n<script>x()</script>\n\n[y](javascript:x())\n")
    monkeypatch.setattr(docs, "docs_folder", lambda: tmp_path)
    with site.app.test_request_context():
        html = docs.rendered("trap").html
    docs.rendered.cache_clear()
    assert "<script" not in html
    assert "<b>" not in html
    assert "href" not in html


def test_page_that_is_not_there_is_a_404(site):
    """Also one that would lie outside the folder."""
    for name in ("none", "..%2fpackage", "widget.md"):
        assert site.client().get(f"/docs/{name}").status_code == 404


def test_anchors_are_those_of_code_hosts():
    """The same links work where the sources are read."""
    assert anchor_of("What is told to the server, and when") == "what-is-told-to-the-server-and-when"
    assert anchor_of("hint_unable") == "hint_unable"


def manifest() -> dict:
    """Return the element's declaration in the custom-elements manifest."""
    text = (WEB / "src" / "pages" / "custom-elements.json").read_text(encoding="utf-8")
    return json.loads(text)["modules"][0]["declarations"][0]
