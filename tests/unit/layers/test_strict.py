"""One reader of YAML: typed, every fault at once with its place, and bounded."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, model_validator

from layers import strict, yamltext
from layers.errors import BadConfig, NotFound
from layers.strict import At, Strict


@dataclass(frozen=True, slots=True)
class Wheel:
    __pydantic_config__: ClassVar[ConfigDict] = strict.CONFIG
    spokes: Annotated[int, Field(ge=3)] = 32
    made: datetime.date | None = None


class Bell(Strict):
    sound: Literal["ring", "ding"] = "ring"


type Bells = Annotated[dict[str, Bell], Field(max_length=3)]


class Bicycle(Strict):
    wheels: tuple[Wheel, ...] = ()
    bells: Bells = Field(default_factory=dict)
    spare: Annotated[Wheel, Field()] | None = None
    names: Mapping[str, str] = Field(default_factory=dict)
    weight: float = Field(default=12, alias="mass")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if "mule" in self.names:
            raise At(("names", "mule"), "a mule is no bicycle")
        return self


def parse(text: str) -> Bicycle:
    return strict.parse(text, Bicycle, "b.yml")


def faults(text: str) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        parse(text)
    assert caught.value.__cause__ is None
    return str(caught.value).splitlines()


def test_a_file_becomes_a_model() -> None:
    bicycle = parse("wheels: [{spokes: 36, made: 2026-11-28}, {}]\nbells: {a: {sound: ding}}\nmass: 9\n")
    assert bicycle.wheels == (Wheel(36, datetime.date(2026, 11, 28)), Wheel())
    assert bicycle.bells["a"].sound == "ding"
    assert bicycle.weight == 9
    assert parse("") == parse("{}") == Bicycle()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("whels: []\n", "b.yml line 1: whels: unknown key, did you mean `wheels`?"),
        ("weight: 3\n", "b.yml line 1: weight: unknown key; known: bells, mass, names, spare, wheels"),
        ("wheels:\n- spoke: 8\n", "b.yml line 2: wheels.0.spoke: unknown key, did you mean `spokes`?"),
        ("spare:\n  spoke: 8\n", "b.yml line 2: spare.spoke: unknown key, did you mean `spokes`?"),
        ("bells:\n  a:\n    zzz: 1\n", "b.yml line 3: bells.a.zzz: unknown key; known: sound"),
        ("mass: 1\n\nmass: 2\n", "b.yml line 3: mass: the key stands in line 1 already"),
        ("mass: .nan\n", "b.yml line 1: mass: Input should be a finite number"),
        ("names: {a: b}\nmass: heavy\n", "b.yml line 2: mass: Input should be a valid number"),
        ("names:\n  mule: x\n", "b.yml line 2: names.mule: a mule is no bicycle"),
        ("- 1\n", "b.yml line 1: the file: expected keys and values at the top level"),
        ("names: {a: !!python/name:os.system x}\n", "b.yml line 1: names.a: the tag tag:yaml.org,2002:py"),
        ("names: !!python/object:os.x {a: b}\n", "b.yml line 1: names: the tag tag:yaml.org,2002:py"),
        ("mass: !!int 1x\n", "b.yml line 1: mass: not a value of the type int"),
        ("mass: 2020-02-31\n", "b.yml line 1: mass: not a value of the type timestamp"),
        (f"mass: {'9' * 5000}\n", "b.yml line 1: mass: not a value of the type int"),
        ("mass: 1\n--- \nmass: 2\n", "b.yml line 2: a second document begins here"),
        ("names: [1\n", "b.yml line 2: "),
        ("names: {a: *b}\n", "b.yml line 1: *b names nothing above"),
        ("names: &a {b: *a}\n", "b.yml line 1: *a names nothing above"),
        ("? [a, b]\n: 1\n", "b.yml line 1: a key must be text"),
        ("mass: \x01\n", "b.yml: not YAML text"),
    ],
)
def test_a_fault_names_line_path_and_nearest_key(text: str, fault: str) -> None:
    assert faults(text)[0].startswith(fault)


def test_every_fault_is_told_at_once_in_the_order_of_the_file() -> None:
    told = faults("mass: 1\nbells: {a: {sound: moo}}\nmass: 2\nwheels: [{spokes: 1}]\nzzz: 1\n")
    assert [line.split(":")[0] for line in told] == [f"b.yml line {n}" for n in (2, 3, 4, 5)]


def test_keys_are_text_as_written_and_aliases_are_values() -> None:
    bicycle = parse("names: {no: &n Norsk, 1: one, zh-CN: *n}\nwheels: [&w {spokes: 8}, *w]\n")
    assert bicycle.names == {"no": "Norsk", "1": "one", "zh-CN": "Norsk"}
    assert bicycle.wheels[0] == bicycle.wheels[1]


def _bomb() -> str:
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    return "\n".join(lines + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)])


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("[" * 300_000, "nested more than 32 deep"),
        ("{a: " * 300_000, "nested more than 32 deep"),
        ("- " * 100_000 + "1", "nested more than 32 deep"),
        (_bomb(), "more than 200000 values"),
        ("[" + "1," * 300_000 + "]", "more than 200000 values"),
        ("# " + "x" * yamltext.MOST_BYTES, "more than 4000000 bytes"),
    ],
)
def test_what_is_too_large_is_refused_soon(text: str, limit: str) -> None:
    start = time.process_time()
    assert limit in faults(text)[0]
    assert time.process_time() - start < 10


#: Without line breaks of Unicode: libyaml and PyYAML's own parser fold those differently.
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_yaml_writes_is_read_as_yaml_reads_it(value: Any) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert yamltext.parse(text).value == yaml.safe_load(text) == value


@given(st.text(max_size=60) | st.text(st.sampled_from("a:-[]{}&*!|>#? \n\"'1,%@`~<\t"), max_size=60))
@example("? ")
@example("- ? a\n  : b")
@example("<<: *a")
@example("&a [&b {c: *b}, *a]")
@example("!!set {a, b}")
@example("= ")
@example("!<tag:yaml.org,2002:int> x")
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadConfig):
        parse(text)


def test_a_file_is_read_beside_its_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"b\.yml does not exist"):
        strict.read(tmp_path / "b.yml", Bicycle)
    (tmp_path / "b.yml").write_bytes("\ufeffmass: 3".encode())
    assert strict.read(tmp_path / "b.yml", Bicycle).weight == 3
    (tmp_path / "b.yml").write_bytes(b"mass: \xff")
    with pytest.raises(BadConfig, match="bikes is not UTF-8 at byte 6"):
        strict.read(tmp_path / "b.yml", Bicycle, "bikes")
    with pytest.raises(BadConfig, match="cannot be read"):
        strict.read(tmp_path, Bicycle)
    with pytest.raises(BadConfig, match="zero: more than 4000000 bytes"):
        strict.read(Path("/dev/zero"), Bicycle)


def test_with_python_s_own_parser_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    loader: Any = yaml.SafeLoader
    monkeypatch.setattr(yamltext, "_LOADER", loader)
    assert parse("wheels: [&w {spokes: 8}, *w]\nmass: 3").weight == 3
    assert "nested more than 32 deep" in faults("[" * 5000)[0]
    assert faults("mass: 1\nmass: 2\n") == ["b.yml line 2: mass: the key stands in line 1 already"]


def test_an_alias_of_itself_and_one_that_explodes_are_refused_with_their_line() -> None:
    with pytest.raises(BadConfig, match="f line 2: "):
        strict.parse("name: a\nown: &x [*x]\n", dict, "f")
    rows = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    rows += [f"{b}: &{b} [{', '.join(['*' + a] * 9)}]" for a, b in itertools.pairwise("abcdefghijkl")]
    with pytest.raises(BadConfig, match="f line 6: more than"):
        strict.parse("\n".join(rows), dict, "f")
