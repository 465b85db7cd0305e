"""The documentation at `/docs`: the Markdown pages that lie in `web/docs`, and the playground.

Markdown's own HTML is shown as text, never passed on: the pages obey the same strict policy as all others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from posixpath import normpath

from flask import Blueprint, Response, abort, render_template, send_from_directory, url_for
from markdown_it import MarkdownIt
from markdown_it.token import Token

from prelisten.assets import docs_folder
from prelisten.catalogue import languages

# The order in which people need them; a page that is not named comes last.
ORDER = (
    "widget",
    "adapters",
    "languages",
    "api",
    "hints",
    "hints-recomputation",
    "policy",
    "production",
    "settings",
    "media",
)
START = "widget"
ATTRIBUTES = "Attributes"


@dataclass(frozen=True, slots=True)
class DocsPage:
    """One page: its name in the address, its title, its HTML, and (anchor, title) of each section."""

    name: str
    title: str
    html: str
    sections: tuple[tuple[str, str], ...]


def make_docs() -> Blueprint:
    """Return the blueprint of the documentation."""
    blueprint = Blueprint("docs", __name__, url_prefix="/docs")
    blueprint.get("")(start)
    blueprint.get("/", endpoint="start_slash")(start)
    blueprint.get("/playground")(playground)
    blueprint.get("/pictures/<path:name>")(picture)
    blueprint.get("/<name>")(page)
    return blueprint


def start() -> str:
    """Show the page that most people come for."""
    return page(START)


def page(name: str) -> str:
    """Show a page by its name."""
    if name not in page_names():
        abort(404)
    return render_template("docs/page.html", page=rendered(name), pages=contents())


def playground() -> str:
    """Show the element with a control for each attribute, and the HTML that makes it."""
    return render_template("docs/playground.html", pages=contents(), languages=languages())


def picture(name: str) -> Response:
    """Serve a drawing of the pages."""
    return send_from_directory(docs_folder() / "pictures", name, max_age=3600)


@cache
def page_names() -> tuple[str, ...]:
    """Return the names of all pages, in the order of the contents."""
    names = (path.stem for path in docs_folder().glob("*.md"))
    return tuple(sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)))


def contents() -> list[tuple[str, str]]:
    """Return (name, title) of every page."""
    return [(name, rendered(name).title) for name in page_names()]


@cache
def rendered(name: str) -> DocsPage:
    """Return a page as HTML; made once for each process."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse((docs_folder() / f"{name}.md").read_text(encoding="utf-8"))
    sections = _name_headings(tokens)
    _wrap_tables(tokens)
    for token in tokens:
        _lead_links(token.children or [])
    if name == START:
        _link_attributes(tokens)
    title = next((text for _, text, level in sections if level == 1), name)
    html = markdown.renderer.render(tokens, markdown.options, {})
    # What scrolls can be reached by the keyboard.
    html = html.replace("<pre><code", '<pre tabindex="0"><code')
    return DocsPage(
        name, title, html, tuple((anchor, text) for anchor, text, level in sections if level == 2)
    )


def anchor_of(heading: str) -> str:
    """Return the anchor that code hosts give a heading: the pages are read there too."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _name_headings(tokens: list[Token]) -> list[tuple[str, str, int]]:
    found = []
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            text = "".join(child.content for child in inline.children or [])
            opening.attrSet("id", anchor_of(text))
            found.append((anchor_of(text), text, int(opening.tag[1])))
    return found


def _wrap_tables(tokens: list[Token]) -> None:
    """Let a wide table scroll in itself, by the keyboard too."""
    for index in reversed(range(len(tokens))):
        if tokens[index].type == "table_close":
            tokens.insert(index + 1, Token("div_close", "div", -1, block=True))
        elif tokens[index].type == "table_open":
            attributes = {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": "Table"}
            tokens.insert(index, Token("div_open", "div", 1, attrs=dict(attributes), block=True))


def _lead_links(children: list[Token]) -> None:
    """Lead links between the pages to their addresses here; what lies in the source tree alone is only named."""
    outside: list[bool] = []
    for child in children:
        if child.type == "image":
            name = str(child.attrs["src"]).removeprefix("pictures/")
            child.attrSet("src", url_for("docs.picture", name=name))
        elif child.type == "link_open":
            target, mark, anchor = str(child.attrs["href"]).partition("#")
            outside.append(target.startswith(".."))
            if outside[-1]:
                child.tag, child.attrs = (
                    "span",
                    {"title": f"In the source tree: {normpath(target).lstrip('./')}"},
                )
            elif target.endswith(".md"):
                address = url_for("docs.page", name=target.removesuffix(".md"))
                child.attrSet("href", f"{address}{mark}{anchor}")
        elif child.type == "link_close" and outside.pop():
            child.tag = "span"


def _link_attributes(tokens: list[Token]) -> None:
    """Lead each attribute of the element's table to the playground, where it can be tried."""
    here = ""
    for before, opening, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if before.type == "heading_open":
            here = opening.content
        elif here == ATTRIBUTES and (before.type, opening.type) == ("tr_open", "td_open"):
            link = Token("link_open", "a", 1)
            link.attrSet("href", f"{url_for('docs.playground')}#{inline.content.strip('`')}")
            inline.children = [link, *(inline.children or []), Token("link_close", "a", -1)]
