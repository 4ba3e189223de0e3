"""The words of a text, the coordinates of a text, and the index over a real store."""

import pyarrow as pa
import pytest
import shapely

from layers.batch import SOURCE_ID, WKB
from layers.store import geopackage
from layers.store.base import LayerSpec
from layers.types import Field
from tests import gdal_edit
from twin.catalogue import search_index
from twin.catalogue.search_index import SearchIndex, fold, words
from twin.http.search import coordinates

ADDRESS = tuple(Field(name, "string") for name in ("street", "number", "full_address"))
NAMED = (Field("name", "string"),)


def test_fold_removes_case_accents_and_width():
    assert fold("TÖÖLÖNKATU Å é ﬁ Ａ１") == "toolonkatu a e fi a1"
    assert fold("Straße") == "strasse"


def test_words_of_latin_and_chinese_text():
    assert words("Mannerheimintie 12 A-3") == ["mannerheimintie", "12", "a", "3"]
    assert words("北京市海淀区") == ["北京", "京市", "市海", "海淀", "淀区"]
    assert words("中山路12号") == ["中山", "山路", "12", "号"]
    assert words("  ,;") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("60.17,24.94", (24.94, 60.17)),
        ("24.94 60.17", (24.94, 60.17)),
        ("60.17N, 24.94E", (24.94, 60.17)),
        ("24.94 E 60.17 N", (24.94, 60.17)),
        ("33.9S 18.4E", (18.4, -33.9)),
        ("-33.9, 18.4", (18.4, -33.9)),
        ("116.4 39.9", (116.4, 39.9)),
        ("39.9，116.4", (116.4, 39.9)),
        ("12 34", None),
        ("Kaivokatu 1.5", None),
        ("200.5, 300.5", None),
        ("60.17", None),
        ("1.1.1, 2", None),
    ],
)
def test_coordinates(text, expected):
    found = coordinates(text, (24.9, 60.1, 25.0, 60.2))
    assert found == ([expected] if expected else [])


def load(store, layer_id, kind, fields, rows, mode="replace"):
    spec = LayerSpec(layer_id, kind, {"en": layer_id}, fields, "Point", "EPSG:4326")
    columns = {
        SOURCE_ID: [row[0] for row in rows],
        WKB: [shapely.to_wkb(shapely.Point(row[1], row[2])) for row in rows],
    }
    columns |= {field.name: [row[3 + at] for row in rows] for at, field in enumerate(fields)}
    types = {SOURCE_ID: pa.string(), WKB: pa.binary()} | {field.name: pa.string() for field in fields}
    stage = store.stage(spec)
    stage.add(pa.table({name: pa.array(column, types[name]) for name, column in columns.items()}))
    return store.publish(stage, mode=mode)


@pytest.fixture
def store(tmp_path):
    opened = geopackage.open(tmp_path / "city.gpkg")
    load(
        opened,
        "addresses",
        "address",
        ADDRESS,
        [
            ("a1", 24.94, 60.17, "Töölönkatu", "1", None),
            ("a2", 24.95, 60.18, "Töölönkatu", "12", None),
            ("a3", 24.96, 60.19, "Töölönkatu", "12 B", None),
            ("a5", 24.97, 60.19, "Museokatu", "5 B", "Museokatu 5 B"),
            ("a6", 24.97, 60.19, "Museokatu", "5", "Museokatu 5, 00100 Helsinki"),
            ("a4", 114.3, 30.5, "中山路", "12号", "武汉市江汉区中山路12号"),
        ],
    )
    load(
        opened,
        "roads",
        "road",
        NAMED,
        [(f"r{at}", 24.9 + at / 100, 60.1, "Töölönkatu") for at in range(5)] + [("x", 24.9, 60.1, None)],
    )
    yield opened
    opened.close()


def titles(index, text, limit=10):
    return [entry.title for entry, _ in index.search(text, limit)]


def test_house_numbers(store):
    index = SearchIndex(store)
    assert titles(index, "toolonkatu 12")[0] == "Töölönkatu 12"
    assert titles(index, "toolonkatu 1")[0] == "Töölönkatu 1"
    assert titles(index, "Töölönkatu 12 B")[0] == "Töölönkatu 12 B"
    assert titles(index, "toolonkatu 99") == []


def test_postcode_and_city_do_not_push_an_exact_address_down(store):
    assert titles(SearchIndex(store), "museokatu 5")[0] == "Museokatu 5, 00100 Helsinki"
    assert titles(SearchIndex(store), "museokatu 5 00100") == ["Museokatu 5, 00100 Helsinki"]


def test_a_name_is_one_result_a_layer(store):
    found = SearchIndex(store).search("töölönk", 10)
    assert [entry.layer for entry, _ in found].count("roads") == 1


@pytest.mark.parametrize("text", ["中山路", "中山路12号", "江汉区", "武汉 中山", "路"])
def test_chinese_by_any_part(store, text):
    assert titles(SearchIndex(store), text) == ["武汉市江汉区中山路12号"]


def test_scores_are_sorted_and_in_range(store):
    found = [score for _, score in SearchIndex(store).search("toolonkatu 1", 10)]
    assert found == sorted(found, reverse=True)
    assert all(0 < score <= 1 for score in found)


def test_edits_loads_and_drops_are_taken_in(store):
    index = SearchIndex(store)
    assert titles(index, "kaivokatu") == []
    fid = next(entry.fid for entry, _ in index.search("toolonkatu 1", 1))
    store.patch("addresses", fid, {"properties": {"street": "Kaivokatu"}})
    assert titles(index, "kaivokatu") == ["Kaivokatu 1"]
    assert "Töölönkatu 1" not in titles(index, "toolonkatu")
    store.patch("addresses", fid, {"geometry": {"type": "Point", "coordinates": [25.0, 60.0]}})
    ((moved, _),) = index.search("kaivokatu", 5)
    assert (moved.lon, moved.lat) == (25.0, 60.0)
    load(store, "roads", "road", NAMED, [("r0", 24.9, 60.1, "Fredrikinkatu")])
    assert [entry.layer for entry, _ in index.search("toolonkatu", 10)] == ["addresses", "addresses"]
    assert titles(index, "fredrikinkatu") == ["Fredrikinkatu"]
    store.drop("roads")
    assert titles(index, "fredrikinkatu") == []


def test_a_curve_of_another_program_costs_itself_only(store, tmp_path):
    index = SearchIndex(store)
    before = titles(index, "toolonkatu")
    gdal_edit.edit(
        tmp_path / "city.gpkg", "bend", "addresses", 2, "CIRCULARSTRING (25 60, 25.1 60.1, 25.2 60)"
    )
    for found in (titles(index, "toolonkatu"), titles(SearchIndex(store), "toolonkatu")):
        assert found == [title for title in before if title != "Töölönkatu 12"]
        assert len(found) == len(before) - 1


def test_many_edits_do_not_make_the_index_grow(store, monkeypatch):
    monkeypatch.setattr(search_index, "SLACK", 10)
    index = SearchIndex(store)
    fid = next(entry.fid for entry, _ in index.search("toolonkatu 1", 1))
    for number in range(60):
        store.patch("addresses", fid, {"properties": {"number": str(number)}})
        if number % 3 == 0:
            index.search("toolonkatu", 1)
    assert titles(index, "toolonkatu 59") == ["Töölönkatu 59"]
    assert len(index._entries) <= 2 * len(index._at) + 11
