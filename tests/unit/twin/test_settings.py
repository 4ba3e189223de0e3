"""city.yml: read whole, and every mistake told with its line."""

import traceback

import pytest
from psycopg.conninfo import conninfo_to_dict

from layers.errors import BadConfig, BadInput, NotFound
from tests.support import HELSINKI
from twin import settings, verbs
from twin.template import template


def test_the_template_is_valid_and_says_its_title():
    city = settings.parse(template("武汉"))
    assert city.title == {"en": "武汉", "zh-CN": "武汉"}
    assert city.heights.ground == 0


def test_an_empty_file_is_a_city_with_defaults():
    assert settings.parse("") == settings.CitySettings()


def test_the_demo_city_is_valid():
    city = settings.load(HELSINKI)
    assert city.time_zone == "Europe/Helsinki"
    assert "OpenStreetMap" in city.credits[0].text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "title: {en: A}\nheigths:\n  ground: 3\n",
            r"line 2: heigths: unknown key, did you mean `heights`\?",
        ),
        ("heights:\n  gruond: 3\n", r"line 2: heights\.gruond: unknown key, did you mean `ground`\?"),
        ("layers:\n  roads:\n    visibel: no\n", r"line 3: layers\.roads\.visibel: .*`visible`"),
        ("view:\n  lon: 200\n  lat: 0\n", r"line 2: view\.lon"),
        ("view: {lon: .nan, lat: 0}\n", r"line 1: view\.lon"),
        ("time_zone: Mars/Olympus\n", r"line 1: time_zone: .*time zone"),
        ("title: {en: A}\ncrs: EPSG:999999\n", r"line 2: crs: EPSG:999999 is not a known coordinate"),
        ("crs: EPSG:5703\n", r"line 1: crs: EPSG:5703 is neither geographic nor projected"),
        ("crs: EPSG:7415\n", r"line 1: crs: EPSG:7415 has heights"),
        ("crs: EPSG:4610\n", r"line 1: crs: no accurate way from EPSG:4610"),
        ("crs: my grid\n", r"line 1: crs: not the code of a coordinate system such as EPSG:4547"),
        ("crs: 3879\n", r"line 1: crs: .*string"),
        ("layers:\n  Roads!: {}\n", r"line 1: layers: .*Roads!"),
        ("title: [1, 2\n", r"line 2"),
        ("- a\n- b\n", r"line 1: the file: expected keys"),
        ("title: a\ttitle: b: c", r"line 1"),
        ("languages: [klingon]\n", r"line 1: languages"),
        ("title: {en: A}\nurl: 'http://['\n", r"line 2: url: .*address"),
        ("url: map.example.org\n", r"line 1: url: .*address"),
        ("url: 'https://map.example.org/a b'\n", r"line 1: url: .*address"),
        ("url: https://map.example.org/map?x=1\n", r"line 1: url: .*a host and a path"),
        ("url: 'https://map.example.org/#x'\n", r"line 1: url: .*a host and a path"),
        ("url: https://me:pw@map.example.org/\n", r"line 1: url: .*a host and a path"),
        *(
            (f"credits:\n- text: A\n  url: {url}\n", r"line 3: credits\.0\.url: .*http, https, mailto")
            for url in (
                '"javascript:alert(1)"',
                '"JavaScript:alert(1)"',
                '" javascript:alert(1)"',
                '"java\\nscript:alert(1)"',
                '"https://a.example/\\nx"',
                "data:text/html,x",
                "file:///etc/passwd",
                "//a.example",
                "https://",
                '"mailto:"',
                "a.example",
            )
        ),
        (
            "title: {en: A}\nstore: mysql://u:p@h/d\n",
            r"line 2: store\.url: not an address such as postgresql",
        ),
        ("store: postgresql://h:port/d\n", r"line 1: store\.url: not an address"),
        ("store: 5\n", r"line 1: store: not an address"),
        ("store: postgresql://h/d?no_such_option=1\n", r"line 1: store\.url: not an address"),
        ("store: ''\n", r"line 1: store\.url: not an address"),
        ("store:\n  schema: a\n", r"line 1: store\.url: .*required"),
        ("store:\n  ulr: postgresql://h/d\n", r"line 2: store\.ulr: unknown key, did you mean `url`\?"),
        ("store:\n  url: postgresql://h/d\n  sheme: a\n", r"line 3: store\.sheme: .*`schema`"),
        ("store: {url: 'postgresql://h/d', schema: pg_x}\n", r"line 1: store\.schema: "),
        ("store: {url: 'postgresql://h/d', schema: 'a\"b'}\n", r"line 1: store\.schema: "),
        (f"store: {{url: 'postgresql://h/d', schema: {'a' * 41}}}\n", r"line 1: store\.schema: "),
        ("store: {url: 'postgresql://h/d',\n  readers: 0}\n", r"line 2: store\.readers: "),
        *(
            (
                f"layers:\n  lots:\n    tiles:\n      maxzoom: {zoom}\n",
                r"line 4: layers\.lots\.tiles\.maxzoom: ",
            )
            for zoom in ("15", "21", "17.5", "deep")
        ),
        ("limits: {heavy: 3}\n", r"line 1: limits\.heavy: unknown key, did you mean `heavy_queries`\?"),
        ("layers:\n  wells:\n    table: gis.wells\n", r"line 3: layers\.wells\.table: .*`store`"),
        ("layers:\n  wells: {fid: gid}\n", r"line 2: layers\.wells: fid: only beside `table`"),
        (
            "store: postgresql://h/d\nlayers:\n  wells: {table: w, kind: wel}\n",
            r"line 3: layers\.wells\.kind: not a kind: one of address",
        ),
    ],
)
def test_a_mistake_names_its_line(text: str, told: str):
    with pytest.raises(BadConfig, match=told):
        settings.parse(text)


def test_every_mistake_is_told_at_once():
    with pytest.raises(BadConfig) as caught:
        settings.parse("titel: {en: A}\nheigths: {}\n")
    assert "line 1" in str(caught.value)
    assert "line 2" in str(caught.value)


def test_a_folder_without_city_yml_says_what_to_do(tmp_path):
    with pytest.raises(NotFound, match="twin init"):
        settings.load(tmp_path)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "city.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadConfig, match="UTF-8"):
        settings.load(tmp_path)


def test_a_city_without_a_store_keeps_its_features_in_its_folder():
    assert settings.parse("").database() is None


def test_the_city_s_crs_by_any_name():
    assert settings.parse("").crs == settings.parse("crs: EPSG:4326\n").crs == "EPSG:4326"
    assert settings.parse("crs: http://www.opengis.net/def/crs/EPSG/0/3879\n").crs == "EPSG:3879"


def test_an_address_alone_is_a_store(monkeypatch):
    database = settings.parse("store: postgresql://h/d\n").database()
    assert database is not None
    assert (database.url, database.schema, database.read_url) == ("postgresql://h/d", "city", None)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://h/d",
        "postgresql:///d?host=/var/run/postgresql",
        "postgresql://u@h1:5432,h2:5433/d?target_session_attrs=read-write",
        "postgresql://u@[::1]:5432/d?sslmode=verify-full&application_name=x",
    ],
)
def test_every_address_of_libpq_is_taken(url: str):
    database = settings.parse(f"store: {url}\n").database()
    assert database is not None
    assert database.url == url


def test_a_store_in_full_with_registered_tables():
    text = """
store:
  url: postgresql://twin@h/d
  read_url: postgresql://reader@h/d
  schema: wuhan
  readers: 3
  writers: 2
  read_seconds: 1.5
  write_seconds: 60
layers:
  buildings: {visible: false}
  wells: {table: gis.wells, kind: component, title: {en: Wells}, fid: gid, geometry: geom, time_field: at}
  deep: {table: gis.deep, fid: gid, refresh: 60}
"""
    database = settings.parse(text).database()
    assert database is not None
    assert (database.url, database.read_url) == ("postgresql://twin@h/d", "postgresql://reader@h/d")
    assert (database.schema, database.readers, database.writers) == ("wuhan", 3, 2)
    assert (database.read_seconds, database.write_seconds) == (1.5, 60)
    wells = database.tables["wells"]
    assert list(database.tables) == ["wells", "deep"]
    assert (wells.table, wells.kind, wells.title) == ("gis.wells", "component", {"en": "Wells"})
    assert (wells.fid, wells.geometry, wells.time_field) == ("gid", "geom", "at")
    assert (wells.refresh, database.tables["deep"].refresh) == (10, 60)
    with pytest.raises(BadConfig, match=r"layers\.deep\.refresh"):
        settings.parse(text.replace("refresh: 60", "refresh: 0.1"))
    with pytest.raises(BadConfig, match="refresh: only beside `table`"):
        settings.parse("layers: {buildings: {refresh: 5}}")


def test_passwords_come_from_the_environment_whatever_their_characters(monkeypatch):
    monkeypatch.setenv("SECRET_WORD", "a/b@c:d ü%")
    city = settings.parse("store: postgresql://twin:${SECRET_WORD}@h:5432/d\n")
    database = city.database()
    assert database is not None
    assert conninfo_to_dict(database.url) == {
        "user": "twin",
        "password": "a/b@c:d ü%",
        "host": "h",
        "port": "5432",
        "dbname": "d",
    }
    assert "a/b@c" not in repr(city)


def test_a_whole_address_can_come_from_the_environment(monkeypatch):
    city = settings.parse("store: {url: '${DB}', read_url: '${READ_DB}'}\n")
    monkeypatch.setenv("DB", "postgresql://u:p%40@h/d")
    with pytest.raises(BadConfig, match=r"store\.read_url: the environment variable READ_DB is not set"):
        city.database()
    monkeypatch.setenv("READ_DB", "mysql://u:secret@h/d")
    with pytest.raises(BadConfig, match=r"store\.read_url: .*postgresql://") as caught:
        city.database()
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("READ_DB", "postgresql://r@h/d")
    database = city.database()
    assert database is not None
    assert (database.url, database.read_url) == ("postgresql://u:p%40@h/d", "postgresql://r@h/d")


@pytest.mark.parametrize(
    "text",
    [
        "store: mysql://u:hunter2@h/d\n",
        "store: {url: 'postgresql://u:hunter2@h:x/d'}\n",
        "store: {url: 'postgresql://u:hunter2@h/d', readers: none}\n",
        "store: [hunter2]\n",
        "store: postgresql://u:hunter2@h/d\nheigths: {}\n",
    ],
)
def test_no_message_shows_a_password(text: str):
    with pytest.raises(BadConfig) as caught:
        settings.parse(text)
    told = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in told.replace(text, "")
    good = settings.parse("store: postgresql://u:hunter2@h/d\n")
    assert "hunter2" not in repr(good) + str(good)


def test_init_writes_the_store_but_no_password(tmp_path, monkeypatch):
    monkeypatch.setenv("TWIN_DB_PASSWORD", "x")
    verbs.init(tmp_path / "a", "Wuhan", "postgresql://twin:${TWIN_DB_PASSWORD}@h/d")
    database = settings.load(tmp_path / "a").database()
    assert database is not None
    assert database.url == "postgresql://twin:x@h/d"
    for refused in (
        "postgresql://twin:hunter2@h/d",
        "postgresql://twin:hunter2@${HOST}/d",
        "postgresql://twin@h/d?password=hunter2",
        "mysql://h/d",
    ):
        with pytest.raises(BadInput) as caught:
            verbs.init(tmp_path / "b", "Wuhan", refused)
        assert "hunter2" not in str(caught.value)
        assert not (tmp_path / "b").exists()
