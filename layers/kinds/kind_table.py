"""The tables of kinds and code lists: ``config/kinds/ID.yml`` and ``config/codes/NAME.yml``.

A kind's table holds what is data of it: titles, fields with the names that sources give them, code lists,
what is assumed where a source says nothing, and how the page draws it. Its module beside this one holds
the checks and chains. What a standard says stands with its clause, and whether its text was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from layers import shipped, strict
from layers.kinds import vector
from layers.kinds.base import Belonging, Columns, Kind, Model, Prism, SourceBatch, Tube, text
from layers.kinds.base import named as named_column
from layers.kinds.codes import Both, Codes, named
from layers.kinds.style import Style
from layers.strict import At, Strict
from layers.types import Field as LayerField
from layers.types import FieldType

if TYPE_CHECKING:
    import pyarrow as pa


class FieldRow(Strict):
    """One field: ``aliases`` are columns of sources that hold it, in any case; the first filled one counts.

    ``tags`` tell the code by another column, ``column`` (filled) or ``column=value``; the first counts."""

    title: Both
    type: FieldType = "string"
    unit: str | None = None
    codes: Codes | None = None
    read_only: bool = False
    aliases: tuple[str, ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _tags_are_codes(self) -> Self:
        for tag, code in self.tags.items():
            if self.codes is None or code not in self.codes.codes:
                raise At(("tags", tag), f"{code} is none of the field's codes")
        return self

    def field(self, name: str) -> LayerField:
        """As a layer has it."""
        codes = {code: entry.title for code, entry in self.codes.codes.items()} if self.codes else None
        return LayerField(name, self.type, self.title, self.unit, codes, self.read_only)


class Assumed(Strict):
    """What a field is taken to be where a source says nothing, by the value of the field or input ``by``."""

    by: str
    values: dict[str, float]
    default: float | None = None

    def of(self, value: str) -> float:
        """The figure for a value. Raises KeyError where there is neither one nor a default."""
        figure = self.values.get(value, self.default)
        if figure is None:
            raise KeyError(value)
        return figure


class FieldTable(Strict):
    """Fields, further inputs (columns that the chains read) and assumptions; several kinds may share some."""

    fields: dict[str, FieldRow] = Field(default_factory=dict)
    inputs: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    assumed: dict[str, Assumed] = Field(default_factory=dict)


def _part(name: object, info: ValidationInfo) -> object:
    if not isinstance(name, str):
        return name
    folder = (info.context and info.context["folder"]) or shipped.folder("kinds")
    return strict.read(folder / "parts" / f"{name}.yml", FieldTable, f"kinds/parts/{name}.yml")


type Part = Annotated[FieldTable, BeforeValidator(_part)]


def _group(name: str) -> str:
    groups = named("layer_group").codes
    if name not in groups:
        raise ValueError(f"there is no group {name}{strict.hint(name, groups)}")
    return name


class KindTable(FieldTable):
    """``config/kinds/ID.yml``; the words of :class:`layers.kinds.base.Kind` mean the same here.

    ``rank``: of several kinds whose signature a source bears, the lowest is taken."""

    title: Both
    group: Annotated[str, AfterValidator(_group)]
    rank: int = 100
    include: tuple[Part, ...] = ()
    style: Style
    prism: Prism | None = None
    tube: Tube | None = None
    model: Model | None = None
    geometry: frozenset[Literal["point", "line", "polygon"]] = frozenset()
    key: tuple[str, ...] = ()
    signature: tuple[str, ...] = ()
    flat: bool = False
    buried: bool = False
    provenance: dict[str, str] = Field(default_factory=dict)
    label: tuple[tuple[str, ...], ...] = (("name",),)
    searched: tuple[str, ...] = ("name",)
    locates: bool = False
    part_of: str | None = None
    parent: str | None = None
    dossier: dict[str, Belonging] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_its_own_fields(self) -> Self:
        for path, name in self._references():
            if name not in self.rows:
                raise At(path, f"there is no field {name}{strict.hint(name, self.rows)}")
        for name, assumed in self.figures.items():
            row = self.rows.get(assumed.by)
            left = set(row.codes.codes) - set(assumed.values) if row and row.codes else set()
            if left and assumed.default is None:
                raise At(("assumed", name), f"nothing is assumed for {', '.join(sorted(left))}")
        return self

    def _references(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """(path, field named there)."""
        for key in ("key", "searched"):
            yield from (((key, i), name) for i, name in enumerate(getattr(self, key)))
        yield from (
            (("provenance", source), one)
            for source, name in self.provenance.items()
            for one in (source, name)
        )
        yield from ((("label", i), name) for i, names in enumerate(self.label) for name in names)
        if self.parent:
            yield ("parent",), self.parent
        if self.style.color.property:
            yield ("style", "color", "property"), self.style.color.property
        yield from ((("style", "label", i), name) for i, name in enumerate(self.style.label))
        if self.style.assumed:
            yield ("style", "assumed", "property"), self.style.assumed.property
        if self.style.rank:
            yield ("style", "rank", "property"), self.style.rank.property
        if self.prism:
            yield from ((("prism", key), getattr(self.prism, key)) for key in ("low", "high"))
            yield from ((("prism", "foot"), name) for name in self.prism.foot or ())
        if self.tube:
            named_ = ((("tube", key), getattr(self.tube, key)) for key in ("depth", "diameter", "change"))
            yield from (each for each in named_ if each[1])
        if self.model:
            yield ("model", "by"), self.model.by

    @cached_property
    def rows(self) -> Mapping[str, FieldRow]:
        """All fields by name, those of the included parts first."""
        return {name: row for part in (*self.include, self) for name, row in part.fields.items()}

    @cached_property
    def figures(self) -> Mapping[str, Assumed]:
        """All that is assumed, by field."""
        return {name: one for part in (*self.include, self) for name, one in part.assumed.items()}

    @cached_property
    def aliases(self) -> Mapping[str, tuple[str, ...]]:
        """Columns of sources by field or input; a field without has those of the input of its name."""
        names: dict[str, tuple[str, ...]] = {}
        for part in (*self.include, self):
            names |= part.inputs
            names |= {name: row.aliases for name, row in part.fields.items() if row.aliases}
        return {name: (name,) for name in self.rows} | names

    def values(self, batch: SourceBatch, name: str) -> list[Any]:
        """A field's or input's first filled value of each row."""
        return batch.first(self.aliases[name])

    def column(self, batch: SourceBatch, name: str) -> pa.Array | list[Any]:
        """:meth:`values` as a column of Arrow, where one type has them all."""
        names = [named_column(batch.columns, alias) for alias in self.aliases[name]]
        own = [n for n in names if n is not None]
        columns = [batch.arrow[n] if n in batch.arrow else vector.array(batch.columns[n]) for n in own]
        if not any(column is None for column in columns):
            found = vector.first([c for c in columns if c is not None], len(batch))
            if found is not None:
                return found
        return self.values(batch, name)

    def lost(self, batch: SourceBatch, name: str) -> list[bool]:
        """Of each row, whether the source has the field and the row does not: what it tells is not known."""
        return batch.lost(self.aliases[name])

    def texts(self, batch: SourceBatch, name: str) -> list[str | None]:
        """The same as trimmed text."""
        return list(vector.texts(self.column(batch, name)).to_pylist())

    def codes(self, batch: SourceBatch, name: str) -> list[str | None]:
        """The code of a field that each row's value means."""
        return vector.each(self.column(batch, name), lambda value: self.code(name, value))

    def code(self, name: str, value: Any) -> str | None:
        """The code of a field that a source's value means."""
        codes = self.rows[name].codes
        return codes.find(value) if codes else None

    def tagged(self, batch: SourceBatch, name: str) -> list[str | None]:
        """The code of a field that the tags of each row tell."""
        out: list[str | None] = [None] * len(batch)
        present = {column.casefold() for column in batch.columns}
        for tag, code in self.rows[name].tags.items():
            column, _, wanted = tag.partition("=")
            if column.casefold() not in present:
                continue
            for i, value in enumerate(batch.first((column,))):
                if out[i] is None and (value == wanted if wanted else bool(text(value))):
                    out[i] = code
        return out

    def kind(
        self,
        kind_id: str,
        normalise: Callable[[SourceBatch], Columns],
        mesh: Callable[[SourceBatch, Columns], list[bytes | None]] | None = None,
    ) -> Kind:
        """The kind that this table and its functions make."""
        drawn_by = self.rows.get(self.style.color.property or "")
        return Kind(
            id=kind_id,
            group=named("layer_group").codes[self.group].title,
            body=self.prism or self.tube or self.model,
            fields=tuple(row.field(name) for name, row in self.rows.items()),
            normalise=normalise,
            style=self.style.document(drawn_by.codes if drawn_by else None),
            mesh=mesh,
            **{name: getattr(self, name) for name in _SAME},
        )


#: What a table says in the words of :class:`Kind`.
_SAME = (
    "title",
    "geometry",
    "key",
    "signature",
    "rank",
    "flat",
    "buried",
    "provenance",
    "label",
    "searched",
    "locates",
    "part_of",
    "parent",
    "dossier",
)


@cache
def read(file: Path) -> KindTable:
    """A kind's table. Raises NotFound, BadConfig."""
    return strict.read(file, KindTable, f"kinds/{file.name}")


def of(kind_id: str) -> KindTable:
    """The table of a kind that comes with the project."""
    return read(shipped.folder("kinds") / f"{kind_id}.yml")
