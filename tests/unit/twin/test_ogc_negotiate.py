"""Content and language negotiation."""

import pytest

from layers.errors import BadParameter
from twin.http.errors import NotAcceptable
from twin.http.ogc import negotiate


def scope(**headers):
    return {"headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "json"),
        ("", "json"),
        ("text/html", "html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
        ("application/json;q=0.5, text/html;q=0.4", "json"),
        ("application/json;q=0.4, text/html;q=0.5", "html"),
        ("text/html;q=0, */*", "json"),
        ("image/png, application/geo+json", "json"),
        ("APPLICATION/JSON", "json"),
        ("application/vnd.oai.openapi+json;version=3.0, application/json", "json"),
    ],
)
def test_accept(accept, kind):
    assert negotiate.representation(scope(accept=accept), None) == kind


@pytest.mark.parametrize("accept", ["image/png", "text/html;q=0", "application/json;q=x", "*/*;q=-1"])
def test_nothing_acceptable(accept):
    with pytest.raises(NotAcceptable):
        negotiate.representation(scope(accept=accept), None)


def test_f_wins_over_accept():
    assert negotiate.representation(scope(accept="image/png"), "json") == "json"
    assert negotiate.representation(scope(accept="application/json"), "html") == "html"
    with pytest.raises(BadParameter, match="f=xml"):
        negotiate.representation(scope(), "xml")


@pytest.mark.parametrize(
    ("given", "lang"),
    [
        ("zh-CN", "zh-CN"),
        ("zh", "zh-CN"),
        ("zh-TW;q=0.3, en;q=0.9", "en"),
        ("en-GB", "en"),
        ("fi", "zh-CN"),
        ("en;q=0, zh-CN;q=0.1", "zh-CN"),
        ("", "zh-CN"),
    ],
)
def test_language(given, lang):
    assert negotiate.language(scope(accept_language=given), ("zh-CN", "en")) == lang
