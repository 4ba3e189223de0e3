"""The look at JSON before any parser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.errors import BadFile
from layers.read import scan

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(['"', "\\", '\\"', "{", "]"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(v) for v in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth(v) for v in value), default=0)
    return 0


@settings(max_examples=150, deadline=None)
@given(values, st.integers(1, 9), st.booleans())
def test_depth_is_that_of_the_json_module(
    tmp_path_factory: pytest.TempPathFactory, value: Any, chunk: int, ascii_only: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / "scan.json"
    file.write_text(json.dumps(value, ensure_ascii=ascii_only), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "_CHUNK", chunk)
        assert scan.scan(file, 1000).depth == depth(value)


def test_top_level_strings_are_found_behind_anything(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    inner = {"type": "Feature", "version": "9"}
    file.write_text(
        json.dumps({"CityObjects": {"a": inner}, "x": [inner], "type": "CityJSON", "version": "2.0"})
    )
    outline = scan.scan(file, 32)
    assert outline.value("type") == "CityJSON"
    assert outline.value("version") == "2.0"
    assert outline.value("nothing") is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"a": [1, 2', "json.truncated"),
        ('{"a": "abc', "json.truncated"),
        ('{"a": 1}}', "json.unbalanced"),
        ("[" * 33 + "]" * 33, "json.depth"),
        ("[" * 2_000_000, "json.depth"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(BadFile) as caught:
        scan.scan(file, 32)
    assert caught.value.rule == rule
