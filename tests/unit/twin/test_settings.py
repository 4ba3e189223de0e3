"""city.yml: read whole, and every mistake told with its line."""

import pytest

from layers.errors import NotFound
from tests.support import HELSINKI
from twin import settings
from twin.settings import BadCity


def test_the_template_is_valid_and_says_its_title():
    city = settings.parse(settings.TEMPLATE.format(title='"武汉"'))
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
        ("layers:\n  Roads!: {}\n", r"line 1: layers: .*Roads!"),
        ("title: [1, 2\n", r"line 2"),
        ("- a\n- b\n", r"line 1: expected keys"),
        ("title: a\ttitle: b: c", r"line 1"),
        ("languages: [klingon]\n", r"line 1: languages"),
        ("title: {en: A}\nurl: 'http://['\n", r"line 2: url: .*address"),
        ("url: map.example.org\n", r"line 1: url: .*address"),
    ],
)
def test_a_mistake_names_its_line(text: str, told: str):
    with pytest.raises(BadCity, match=told):
        settings.parse(text)


def test_every_mistake_is_told_at_once():
    with pytest.raises(BadCity) as caught:
        settings.parse("titel: {en: A}\nheigths: {}\n")
    assert "line 1" in str(caught.value)
    assert "line 2" in str(caught.value)


def test_a_folder_without_city_yml_says_what_to_do(tmp_path):
    with pytest.raises(NotFound, match="twin init"):
        settings.load(tmp_path)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "city.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadCity, match="UTF-8"):
        settings.load(tmp_path)
