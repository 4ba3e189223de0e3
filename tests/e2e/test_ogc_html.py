"""The HTML pages: rendered by the embedded pygeoapi, loading nothing from anywhere."""

import html.parser
import json
import re
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

PAGES = [
    "/ogc",
    "/ogc/conformance",
    "/ogc/api",
    "/ogc/collections",
    "/ogc/collections/buildings",
    "/ogc/collections/buildings/schema",
    "/ogc/collections/buildings/queryables",
    "/ogc/collections/buildings/sortables",
    "/ogc/functions",
    "/ogc/collections/buildings/schema/geojson",
    "/ogc/collections/buildings/tiles",
    "/ogc/collections/buildings/tiles/WebMercatorQuad",
    "/ogc/tileMatrixSets",
    "/ogc/tileMatrixSets/WebMercatorQuad",
    "/ogc/collections/buildings/items",
    "/ogc/collections/buildings/items/1",
]
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Reader(html.parser.HTMLParser):
    """Collects links and whatever a browser would load; balanced tags are asserted."""

    def __init__(self):
        super().__init__()
        self.links, self.loads, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "a":
            self.links.append(given["href"])
        if tag in ("script", "img", "iframe", "link", "object", "embed") or "src" in given:
            self.loads.append((tag, attrs))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize("path", PAGES)
def test_each_page_has_a_form_for_people_that_loads_nothing(server, path):
    for answer in (
        server.http.get(path, params={"f": "html"}),
        server.http.get(path, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}),
    ):
        assert answer.status_code == 200, answer.text[:400]
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        reader = read(answer.text)
        assert reader.loads == []
        assert "url(" not in answer.text
        assert "pygeoapi" not in answer.text
        assert "jsonld" not in answer.text


def test_every_link_of_the_pages_leads_somewhere(server):
    todo, seen = {f"{server.url}/ogc?f=html"}, set()
    while todo and len(seen) < 60:
        url = todo.pop()
        seen.add(url)
        answer = server.http.get(url)
        assert answer.status_code == 200, url
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        for link in read(answer.text).links:
            whole = urllib.parse.urljoin(url, link)
            if whole.startswith(server.url) and not re.search(r"/items/\d+\?", whole):
                todo |= {whole} - seen
    assert len(seen) > 20


def test_both_languages(server):
    zh = server.http.get("/ogc/collections?f=html", headers={"accept-language": "zh-CN"}).text
    en = server.http.get("/ogc/collections?f=html", headers={"accept-language": "en"}).text
    assert "图层" in zh
    assert 'lang="zh-CN"' in zh
    assert "Layers" in en
    assert 'lang="en"' in en
    assert "图层" not in en


def test_the_pages_of_features_walk_through_the_layer_by_the_same_cursor(server):
    url, seen = f"{server.url}/ogc/collections/pipelines/items?f=html&limit=30", []
    while url:
        reader = read(server.http.get(url).text)
        seen += [
            int(found[1]) for link in reader.links if (found := re.search(r"/items/(\d+)\?f=html", link))
        ]
        following = [link for link in reader.links if "after=" in link and link.endswith("f=html")]
        assert len(following) <= 1
        url = following[0] if following else None
    page = server.http.get("/ogc/collections/pipelines/items", params={"limit": 100}).json()
    assert seen == [one["id"] for one in page["features"]]


def test_a_filter_holds_on_the_page_too(server):
    medium = server.http.get("/ogc/collections/pipelines/items?limit=1").json()["features"][0]["properties"][
        "medium"
    ]
    asked = {"medium": medium, "limit": "100"}
    page = server.http.get("/ogc/collections/pipelines/items", params=asked).json()
    text = server.http.get("/ogc/collections/pipelines/items", params={**asked, "f": "html"}).text
    assert f"{page['numberReturned']} / {page['numberMatched']}" in text


def test_a_name_cannot_become_markup(server):
    path = "/ogc/collections/roads/items/1"
    evil = "<script>alert(1)</script>{{ 7 * 7 }}"
    done = server.http.patch(
        path,
        content=json.dumps({"properties": {"name": evil}}),
        headers={"content-type": "application/merge-patch+json", **server.auth},
    )
    assert done.status_code == 204, done.text
    for url in (f"{path}?f=html", "/ogc/collections/roads/items?f=html"):
        text = server.http.get(url).text
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        assert "{{ 7 * 7 }}" in text


def test_refusals_on_html_have_the_one_error_shape(server):
    for path, status in (
        ("/ogc/collections/buildings/items/999999?f=html", 404),
        ("/ogc/collections/nothing/items?f=html", 404),
        ("/ogc/collections/buildings/items?f=html&bbox=nan", 400),
        ("/ogc/collections/buildings/tiles/Nothing?f=html", 404),
    ):
        answer = server.http.get(path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_page_is_new_after_an_edit(server):
    path = "/ogc/collections/roads/items/2"
    for name in ("Ensimmäinen", "Toinen"):
        server.http.patch(
            path,
            content=json.dumps({"properties": {"name": name}}),
            headers={"content-type": "application/merge-patch+json", **server.auth},
        )
        assert name in server.http.get(f"{path}?f=html").text


def test_many_pages_at_once(server):
    """The provider that pygeoapi ships for this file format fails under two clients; ours may not."""

    def ask(number):
        layer = ("roads", "buildings", "addresses")[number % 3]
        f = "html" if number % 2 else "json"
        return httpx.get(
            f"{server.url}/ogc/collections/{layer}/items?f={f}&limit={number % 7 + 1}", timeout=30
        )

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(48)))
    assert {one.status_code for one in answers} == {200}
