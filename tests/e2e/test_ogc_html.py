"""The HTML pages: rendered by the embedded pygeoapi, loading nothing from anywhere."""

import html.parser
import json
import re
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e import both
from tests.support import twin

server = both.server
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
        self.texts, self.forms = {}, []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "a":
            self.links.append(given["href"])
        if tag == "form":
            self.forms.append({"": given["action"]})
        if tag == "input":
            self.forms[-1][given["name"]] = given.get("value", "")
        if tag in ("script", "img", "iframe", "link", "object", "embed") or "src" in given:
            self.loads.append((tag, attrs))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data):
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data.strip())

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
            whole = urllib.parse.urldefrag(urllib.parse.urljoin(url, link)).url
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


def page(server, path, lang="en", **params):
    answer = server.http.get(path, params={"f": "html", **params}, headers={"accept-language": lang})
    assert answer.status_code == 200, answer.text[:400]
    return answer.text


def test_a_page_says_what_values_mean_in_the_words_of_its_reader(server):
    path = "/ogc/collections/buildings/items"
    medium = server.http.get(f"{path}/1").json()["properties"]["height_source"]
    titles = server.http.get("/ogc/collections/buildings/schema").json()["properties"]["height_source"]
    for lang in ("en", "zh-CN"):
        schema = server.http.get("/ogc/collections/buildings/schema", headers={"accept-language": lang})
        title = schema.json()["properties"]["height_source"]["title"]
        for text in (page(server, path, lang, limit="1"), page(server, f"{path}/1", lang)):
            found = read(text).texts
            assert title in found["th"] + found["a"]
    assert titles["x-enum-titles"][medium] in page(server, path, "zh-CN", limit="1")


def test_yes_and_no_are_words_of_the_reader(server, tmp_path):
    file = tmp_path / "gates.geojson"
    file.write_text(
        '{"type": "Feature", "properties": {"open": false},'
        ' "geometry": {"type": "Point", "coordinates": [24.94, 60.17]}}'
    )
    twin("load", str(file), "--as", "gates", "--kind", "feature", "--city", str(server.folder))
    path = "/ogc/collections/gates/items"
    for lang, no in (("en", "no"), ("zh-CN", "否")):
        for text in (page(server, path, lang, limit="1"), page(server, f"{path}/1", lang)):
            assert no in read(text).texts["td"]
            assert "True" not in text
            assert "False" not in text


def test_a_column_sorts_by_a_click_and_turns_round_by_another(server):
    path = "/ogc/collections/buildings/items"
    text = page(server, path, limit="3", filter="height_m IS NOT NULL")
    (up,) = [one for one in read(text).links if "sortby=height_m&" in one]
    (down,) = [one for one in read(server.http.get(up).text).links if "sortby=-height_m&" in one]
    rows = re.findall(r'<tr id="f(\d+)">', server.http.get(down).text)
    asked = {"limit": "3", "sortby": "-height_m", "filter": "height_m IS NOT NULL"}
    tallest = server.http.get(path, params=asked).json()["features"]
    assert [int(row) for row in rows] == [one["id"] for one in tallest]


def test_a_condition_is_asked_by_a_form_shown_and_dropped_again(server):
    path = "/ogc/collections/buildings/items"
    text = page(server, path, limit="5", bbox="24.93,60.16,24.95,60.18", offset="5")
    words, condition = read(text).forms
    assert words.pop("") == condition.pop("") == f"{server.url}{path}"
    assert words == {"limit": "5", "bbox": "24.93,60.16,24.95,60.18", "f": "html", "q": ""}
    filled = condition | {"filter": "height_m > 10 AND height_m < 2e9"}
    found = server.http.get(path, params=filled).text
    matched = server.http.get(path, params=filled | {"f": "json"}).json()["numberMatched"]
    assert f"5 / {matched}" in found
    assert "height_m &gt; 10 AND height_m &lt; 2e9" in found
    assert read(found).forms[1]["filter"] == "height_m > 10 AND height_m < 2e9"
    dropped = [one for one in read(found).links if "/items?" in one and "filter" not in one and "bbox" in one]
    assert len(dropped) == 1
    boxed = server.http.get(path, params={"bbox": "24.93,60.16,24.95,60.18"}).json()["numberMatched"]
    assert f" / {boxed}\n" in server.http.get(dropped[0]).text


def test_a_page_offers_what_is_selected_as_files(server):
    path = "/ogc/collections/buildings/items"
    asked = {"filter": "height_m > 20", "properties": "name,height_m", "limit": "2", "sortby": "-height_m"}
    text = page(server, path, **asked)
    downloads = [one for one in read(text).links if "/buildings/download?" in one]
    assert len(downloads) == 6
    (csv,) = [one for one in downloads if one.endswith("f=csv")]
    rows = server.http.get(csv).content.decode("utf-8-sig").splitlines()
    asked_all = asked | {"limit": "10000"}
    whole = server.http.get(path, params=asked_all).json()
    assert rows[0].split(",")[:4] == ["fid", "height_m", "height_source", "name"]
    assert [int(row.split(",")[0]) for row in rows[1:]] == [one["id"] for one in whole["features"]]
    (csv,) = [one for one in read(text).links if "/items?" in one and one.endswith("f=csv")]
    assert len(server.http.get(csv).text.splitlines()) == 3


def test_a_later_page_leads_back_to_the_first(server):
    path = "/ogc/collections/roads/items"
    first = read(page(server, path, limit="5", sortby="-name")).links
    (following,) = [one for one in first if "after=" in one]
    text = server.http.get(following).text
    (back,) = re.findall(r'<a rel="first" href="([^"]+)"', text)
    again = read(server.http.get(back.replace("&amp;", "&")).text).links
    assert again == first


def test_features_are_drawn_and_a_feature_leads_to_the_map(server):
    for crs in ("CRS84", "EPSG:4326", "EPSG:3857"):
        text = page(server, "/ogc/collections/buildings/items", limit="20", crs=crs)
        drawn = re.findall(r'<a href="#f(\d+)"><path class="area" d="M', text)
        assert drawn == re.findall(r'<tr id="f(\d+)">', text)
    text = page(server, "/ogc/collections/pipelines/items/1")
    assert f"{server.url}/#s=pipelines:1" in read(text).links
    assert '<path class="line"' in text


def test_a_feature_without_a_place_has_a_page(server):
    body = {"type": "Feature", "geometry": None, "properties": {"name": "nowhere"}}
    made = server.http.post(
        "/ogc/collections/street_assets/items",
        content=json.dumps(body),
        headers={"content-type": "application/geo+json", **server.auth},
    )
    assert made.status_code == 201, made.text
    path = made.headers["location"].removeprefix(server.url)
    for text in (page(server, path), page(server, "/ogc/collections/street_assets/items", q="nowhere")):
        assert "nowhere" in text
        assert "<svg" not in text
        assert "#s=" not in text
    empty = page(server, "/ogc/collections/street_assets/items", filter="id < 0")
    assert "No feature matches." in empty


def test_the_documentation_tells_each_parameter(server):
    reader = read(page(server, "/ogc/api"))
    document = server.http.get("/ogc/api").json()
    named = {
        one["name"]
        for verbs in document["paths"].values()
        for operation in verbs.values()
        if isinstance(operation, dict)
        for one in operation.get("parameters", ())
    }
    assert named <= set(reader.texts["code"])
    assert f"{server.url}/ogc/collections/roads/queryables" in reader.links


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
