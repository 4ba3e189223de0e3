"""Content and language negotiation."""

import pytest

from layers.errors import BadParameter
from twin.http import formats, negotiate
from twin.http.errors import NotAcceptable


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
        ("application/*;q=0, */*", "html"),
        ("image/png, application/geo+json", "json"),
        ("APPLICATION/JSON", "json"),
        ("text/*", "html"),
        ("application/vnd.oai.openapi+json;version=3.0, application/json", "json"),
    ],
)
def test_accept(accept, kind):
    for offer in (formats.DOCUMENT, formats.FEATURE, formats.PAGE):
        assert negotiate.representation(scope(accept=accept), None, offer).name == kind


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/fg+json", "jsonfg"),
        ('application/geo+json;profile="http://www.opengis.net/def/profile/OGC/0/jsonfg"', "json"),
        ("application/vnd.ogc.fg+json, application/geo+json;q=0.9", "jsonfg"),
        ("application/flatgeobuf", "flatgeobuf"),
        ("application/flatgeobuf, application/geo+json", "flatgeobuf"),
        ("application/geo+json, application/flatgeobuf", "json"),
        ("application/flatgeobuf;q=0.2, application/geo+json;q=0.3", "json"),
        ("text/csv, text/html;q=0.9", "csv"),
        ("text/*;q=0.5, text/html;q=0.1", "csv"),
        ("*/*, application/geo+json;q=0.1, text/html;q=0.1", "jsonfg"),
    ],
)
def test_accept_of_a_page(accept, kind):
    assert negotiate.representation(scope(accept=accept), None, formats.PAGE).name == kind


@pytest.mark.parametrize("accept", ["image/png", "text/html;q=0", "application/json;q=x", "*/*;q=-1"])
def test_nothing_acceptable(accept):
    for offer in (formats.DOCUMENT, formats.PAGE):
        with pytest.raises(NotAcceptable, match="Accept"):
            negotiate.representation(scope(accept=accept), None, offer)


def test_what_a_resource_does_not_have_is_not_acceptable_there():
    for accept in ("text/csv", "application/flatgeobuf"):
        with pytest.raises(NotAcceptable):
            negotiate.representation(scope(accept=accept), None, formats.FEATURE)


def test_f_wins_over_accept():
    page = formats.PAGE
    assert negotiate.representation(scope(accept="image/png"), "json", page).name == "json"
    assert negotiate.representation(scope(accept="application/json"), "html", page).name == "html"
    for f in ("fgb", "flatgeobuf", "application/flatgeobuf"):
        assert negotiate.representation(scope(), f, page).name == "flatgeobuf"
    for f in ("jsonfg", "fgjson", "application/fg+json", "application/fg json"):
        assert negotiate.representation(scope(), f, page).name == "jsonfg"
    with pytest.raises(BadParameter, match="f=xml: one of json, geojson, html"):
        negotiate.representation(scope(), "xml", page)
    with pytest.raises(BadParameter, match=r"f=csv: one of json, geojson, html$"):
        negotiate.representation(scope(), "csv", formats.DOCUMENT)


def test_names_and_media_types_are_told_once():
    for offer in (formats.DOCUMENT, formats.FEATURE, formats.PAGE):
        for values in ([name for one in offer for name in one.names], [one.media for one in offer]):
            assert len(values) == len(set(values))


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
