"""Query options (OGC 18-088 clause 9.3): strictly parsed, nested ones too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from layers.errors import BadParameter
from twin.things.expression import MAX_LENGTH, Sql, compile_filter, compile_orderby
from twin.things.model import SETS, Entity, Nav
from twin.things.spatial import Space

MAX_EXPAND_DEPTH = 3
MAX_EXPANDS = 8
DEFAULT_TOP = 100
MAX_TOP = 1_000
MAX_TOP_OBSERVATIONS = 10_000
MAX_SKIP = 10_000_000
_SETS_ONLY = ("$top", "$skip", "$count", "$filter", "$orderby", "$resultFormat")
_KNOWN = ("$select", "$expand", *_SETS_ONLY)


@dataclass(slots=True)
class QueryOptions:
    """The options of one set or entity; ``texts`` keeps them as they came, for next links."""

    top: int = DEFAULT_TOP
    skip: int = 0
    count: bool = False
    filter: Sql | None = None
    orderby: Sql = ("a.id", ())
    select: tuple[str, ...] = ()
    expand: dict[str, tuple[Nav, QueryOptions]] = field(default_factory=dict)
    data_array: bool = False
    texts: dict[str, str] = field(default_factory=dict)
    wanted: int | None = None
    #: Of observations: only those up to this instant (ms).
    until: int | None = None

    def limit(self, entity: Entity, until: int) -> None:
        """Give no observations after an instant (ms), nested ones neither."""
        if entity.set == "Observations":
            self.until = until
        for nav, nested in self.expand.values():
            nested.limit(SETS[nav.target], until)

    def next_query(self, returned: int) -> str:
        """The query string of the page after this one."""
        rest = {k: v for k, v in self.texts.items() if k not in ("$top", "$skip")}
        if self.wanted is not None:
            rest["$top"] = str(self.wanted)
        rest["$skip"] = str(self.skip + returned)
        return "&".join(f"{k}={quote(v, safe="$(),;=:/@'")}" for k, v in rest.items())


def parse(
    pairs: Iterable[tuple[str, str]],
    entity: Entity,
    *,
    many: bool,
    depth: int = 0,
    space: Space | None = None,
) -> QueryOptions:
    """Options of a request or of one ``$expand``; ``space`` answers of geometries. Raises BadParameter."""
    options = QueryOptions(top=DEFAULT_TOP if depth == 0 or entity.set == "Observations" else MAX_TOP)
    for raw, value in pairs:
        name = "$resultFormat" if raw == "resultFormat" else raw
        if name not in _KNOWN:
            raise BadParameter(raw, value, "unknown option; known: " + ", ".join(_KNOWN))
        if name in options.texts:
            raise BadParameter(name, value, "given more than once")
        if name in _SETS_ONLY and not many:
            raise BadParameter(name, value, "only sets take this option, and this is one entity")
        options.texts[name] = value
        _take(options, name, value, entity, depth, space)
    return options


def _take(
    options: QueryOptions, name: str, value: str, entity: Entity, depth: int, space: Space | None
) -> None:
    if name == "$top":
        most = MAX_TOP_OBSERVATIONS if entity.set == "Observations" else MAX_TOP
        options.wanted = _integer(name, value)
        options.top = min(options.wanted, most)
    elif name == "$skip":
        options.skip = _integer(name, value)
    elif name == "$count":
        if value not in ("true", "false"):
            raise BadParameter(name, value, "true or false")
        options.count = value == "true"
    elif name == "$filter":
        options.filter = compile_filter(name, value, entity, space)
    elif name == "$orderby":
        options.orderby = compile_orderby(name, _order_words(value), entity, space)
    elif name == "$select":
        options.select = _select(value, entity)
    elif name == "$resultFormat":
        if value not in ("dataArray", "json") or (value == "dataArray" and entity.set != "Observations"):
            raise BadParameter(name, value, "dataArray, and only on Observations")
        options.data_array = value == "dataArray"
    else:
        options.expand = _expand(value, entity, depth, space)


def _order_words(value: str) -> str:
    # frost_sta_client writes DESC
    return re.sub(r"\b(ASC|DESC)\b", lambda m: m[0].lower(), value)


def _integer(name: str, value: str) -> int:
    if (
        not re.fullmatch(r"[0-9]{1,10}", value)
        or int(value) > 10**9
        or (name == "$skip" and int(value) > MAX_SKIP)
    ):
        most = MAX_SKIP if name == "$skip" else 10**9
        raise BadParameter(name, value, f"an integer from 0 to {most}")
    return int(value)


def _select(value: str, entity: Entity) -> tuple[str, ...]:
    names = []
    for part in value.split(","):
        name = part.strip()
        name = "@iot.id" if name == "id" else name
        if name != "@iot.id" and not entity.prop(name) and not entity.nav(name):
            known = ", ".join(["id", *(p.name for p in entity.props), *(n.name for n in entity.navs)])
            raise BadParameter("$select", name, f"not a property of {entity.single}; known: {known}")
        names.append(name)
    return tuple(names)


def _expand(
    value: str, entity: Entity, depth: int, space: Space | None
) -> dict[str, tuple[Nav, QueryOptions]]:
    if depth >= MAX_EXPAND_DEPTH:
        raise BadParameter("$expand", value, f"nested deeper than {MAX_EXPAND_DEPTH}")
    if len(value) > MAX_LENGTH:
        raise BadParameter("$expand", value, f"at most {MAX_LENGTH} characters")
    expanded: dict[str, tuple[Nav, QueryOptions]] = {}
    for part in split(value, ","):
        name, options = _one_expand(part.strip())
        nav = entity.nav(name)
        if nav is None:
            known = ", ".join(n.name for n in entity.navs)
            raise BadParameter("$expand", name, f"{entity.single} does not lead there; known: {known}")
        parsed = parse(options, SETS[nav.target], many=nav.many, depth=depth + 1, space=space)
        if name in expanded:
            # Datastreams/Sensor,Datastreams/ObservedProperty is one expansion with two below it
            expanded[name][1].expand.update(parsed.expand)
        else:
            expanded[name] = (nav, parsed)
    if len(expanded) > MAX_EXPANDS:
        raise BadParameter("$expand", value, f"at most {MAX_EXPANDS} expansions")
    return expanded


def _one_expand(part: str) -> tuple[str, list[tuple[str, str]]]:
    """``Name``, ``Name(options)`` or ``Name/Other…`` → the name and its nested options."""
    match = re.match(r"^([A-Za-z]+)(.*)$", part, re.DOTALL)
    if match is None:
        raise BadParameter("$expand", part, "a navigation such as Datastreams is expected")
    name, rest = match[1], match[2]
    if not rest:
        return name, []
    if rest.startswith("/"):
        return name, [("$expand", rest[1:])]
    if not (rest.startswith("(") and rest.endswith(")")):
        raise BadParameter("$expand", part, "options go in parentheses: Datastreams($top=1;$orderby=id)")
    pairs = []
    for option in split(rest[1:-1], ";"):
        key, sep, value = option.partition("=")
        if not sep:
            raise BadParameter("$expand", option, "an option is $name=value")
        pairs.append((key.strip(), value))
    return name, pairs


def split(text: str, mark: str) -> list[str]:
    """Split at a mark outside parentheses and quoted strings. Raises BadParameter when unbalanced."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, char in enumerate(text):
        if char == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth < 0:
                break
        elif char == mark and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    if depth or quoted:
        raise BadParameter("$expand", text, "parentheses or quotes do not match")
    parts.append(text[start:])
    return parts
