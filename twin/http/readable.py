"""Documents outside /ogc as HTML: for who opens an address in a browser, with links to follow and to copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jinja2
import orjson

from twin.http import answers, negotiate, respond
from twin.http.context import Link
from twin.http.respond import Headers, Scope, Send

if TYPE_CHECKING:
    from twin.city import City

TEMPLATES = Path(__file__).parent / "ogc" / "templates"
#: The value of ``f`` that asks for it.
HTML = "html"


def wanted(scope: Scope, f: str | None) -> bool:
    """Whether HTML is to be given: by ``f``, else to a browser, which takes no JSON."""
    if f is not None:
        return f == HTML
    accept = (respond.header(scope, b"accept") or "").lower()
    return "text/html" in accept and "json" not in accept


async def give(
    city: City,
    scope: Scope,
    send: Send,
    title: tuple[str, str],
    document: Mapping[str, Any],
    plain: str,
    links: Sequence[Link] = (),
    keep: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """A document, readable; ``plain`` is the address of its JSON, ``links`` are shown over it, templates
    ready to be copied, ``keep`` says how it may be kept. Raises as :func:`respond.base_url`."""
    lang = negotiate.language(scope, city.settings.languages)
    heading = title[1] if lang == "zh-CN" else title[0]
    data = {
        "title": heading,
        "heading": heading,
        "json": orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(),
        "base": f"{respond.base_url(city, scope)}/ogc",
        "plain": plain,
        "links": list(links),
        "credits": [credit.model_dump() for credit in city.settings.credits],
    }
    locale = SimpleNamespace(language=lang.partition("-")[0])
    body = await city.run(_template().render, data=data, locale=locale)
    headers: Headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-language", lang.encode()),
        answers.VARY_LANGUAGE,
        *answers.HTML_HEADERS,
        *keep,
    ]
    await answers.give(scope, send, (body.encode(),), headers)


@cache
def _template() -> jinja2.Template:
    files = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(loader=files, autoescape=True).get_template("document.html")
