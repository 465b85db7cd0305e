"""Pages in the language that the person's browser asks for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Flask, Response, make_response, render_template, request
from jinja2 import pass_context
from jinja2.runtime import Context

from prelisten.catalogue import ENGLISH, RIGHT_TO_LEFT, choose_language, sentence


def asked_language() -> str:
    """Return the language of ours that `Accept-Language` prefers; English where it names none of them."""
    return choose_language(tag for tag, _ in request.accept_languages)


def spoken_page(template: str, **values: Any) -> Response:
    """Return a page in the asked language, and say so to browsers and caches."""
    language = asked_language()
    response = make_response(render_template(template, language=language, **values))
    response.headers["Content-Language"] = language
    response.vary.add("Accept-Language")
    return response


def add_to_templates(app: Flask) -> None:
    """Give the templates `sentence`, `direction` and `day`: a page without a `language` is English."""
    app.jinja_env.globals.update(sentence=_sentence, direction=_direction, day=_day)


@pass_context
def _sentence(context: Context, key: str, params: dict[str, object] | None = None) -> str:
    return sentence(key, params, language=context.get("language", ENGLISH))


@pass_context
def _direction(context: Context) -> str:
    return "rtl" if context.get("language") in RIGHT_TO_LEFT else "ltr"


@pass_context
def _day(context: Context, moment: datetime) -> str:
    """Return a date. The names of months are English ones; other languages get the date that all can read."""
    is_english = context.get("language", ENGLISH) == ENGLISH
    return moment.strftime("%d %B %Y" if is_english else "%Y-%m-%d")
