"""``$filter`` and ``$orderby``: text → SQL with bound parameters (OGC 18-088 clause 9.3.3.5).

A hand-written parser of bounded length and depth. Every literal and every JSON key becomes a bound
parameter; column names come from the entity table only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any, NoReturn

from layers.errors import BadBody, BadParameter
from twin.live.clock import now_ms
from twin.live.clock import parse as parse_time
from twin.things import functions
from twin.things.model import SETS, Entity, Nav, Prop
from twin.things.spatial import FUNCTIONS, PATTERN, Place, Space, Stored, literal

MAX_LENGTH = 4_096
MAX_DEPTH = 16
MAX_HOPS = 4

_TOKEN = re.compile(
    r"\s*(?:(?P<time>(?a:-?\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+\- ]\d\d:?\d\d)?))"
    r"|(?P<date>(?a:-?\d{4}-\d\d-\d\d)(?![\w:.-]))"
    r"|(?P<clock>(?a:\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?))(?![\w:.])"
    r"|(?P<number>(?a:[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))(?![\w.])"
    r"|(?P<geo>geo(?:graphy|metry)'[^']*')"
    r"|(?P<string>'(?:[^']|'')*')"
    r"|(?P<name>[^\W\d]\w*(?:\.\w+)*|@iot\.\w+)"
    r"|(?P<mark>[(),/]))"
)
_KEY = re.compile(r"[^\s()',/]+")
_COMPARE = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_TERM = {"add": "+", "sub": "-"}
_FACTOR = {"mul": "*", "div": "/", "mod": "%"}
#: Members of GeoJSON that are no value.
_SHAPE = frozenset({"coordinates", "geometry", "geometries", "bbox"})
#: What a value is, in the order in which two of several forms are compared.
_KINDS = {
    "num": "a number",
    "time": "a time",
    "str": "a text",
    "bool": "true or false",
    "date": "a date",
    "clock": "a time of day",
}
_WORDS = frozenset({*_COMPARE, *_TERM, *_FACTOR, "and", "or", "not"})

type Params = tuple[Any, ...]
type Sql = tuple[str, Params]


@dataclass(frozen=True, slots=True)
class Operand:
    """A value in the types it can be read as (num, str, time, bool, null), and the rows it hops over."""

    forms: dict[str, Sql]
    hops: tuple[str, ...] = ()
    text: str = ""
    #: A geometry; of a distance, the two that it lies between.
    place: Place | None = None
    between: tuple[Place, Place] | None = None
    #: A number as it was written.
    constant: float | None = None


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass(slots=True)
class Parser:
    """One expression over one entity, whose alias in the statement is ``a``."""

    option: str
    source: str
    entity: Entity
    space: Space | None = None
    tokens: list[_Token] = field(default_factory=list)
    next: int = 0
    depth: int = 0
    aliases: int = 0

    def filter(self) -> Sql:
        """The whole text as a condition. Raises BadParameter naming the position."""
        self._tokenise()
        condition = self._or()
        if self.next < len(self.tokens):
            self._fail("expected an operator or the end")
        sql, params = self._condition(condition)
        return f"({sql})", params

    def orderby(self) -> list[tuple[Operand, bool]]:
        """The whole text as (value, descending) pairs. Raises BadParameter."""
        self._tokenise()
        order: list[tuple[Operand, bool]] = []
        while True:
            first = self.next
            value = self._primary()
            self._check_order(self.tokens[first : self.next])
            if value.hops:
                self._fail("ordering by another entity's property is not possible here")
            word = self._word("asc", "desc")
            order.append((value, word == "desc"))
            if not self._mark(","):
                break
        if self.next < len(self.tokens) or len(order) > 4:
            self._fail("expected at most four properties, each with asc or desc, separated by commas")
        return order

    def _check_order(self, path: Sequence[_Token]) -> None:
        """An object and a geometry come before or after no other: answered in any order, it would seem so."""
        if any(token.text in FUNCTIONS for token in path[:1]):
            return
        names = [token.text for token in path if token.kind == "name"]
        prop = self.entity.prop(names[0]) if names else None
        if prop is None or not prop.parts:
            return
        if prop.parts == "geometry" and (len(names) == 1 or names[-1] in _SHAPE):
            self._refuse(path[0].at, f"{prop.name} is a geometry, which has no order")
        if len(names) == 1:
            self._refuse(path[0].at, f"{prop.name} is an object: name a member of it, as in {prop.name}/name")

    # tokens

    def _tokenise(self) -> None:
        if len(self.source) > MAX_LENGTH:
            raise BadParameter(self.option, self.source, f"at most {MAX_LENGTH} characters")
        at, text = 0, self.source
        while text[at:].strip():
            if self.tokens and self.tokens[-1].text == "/" and (key := _KEY.match(text, at)):
                self.tokens.append(_Token("name", key[0], at))
                at = key.end()
                continue
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                self._refuse(at, f"unexpected {text[at : at + 12]!r}")
            self.tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            at = match.end()

    def _peek(self) -> _Token | None:
        return self.tokens[self.next] if self.next < len(self.tokens) else None

    def _word(self, *words: str) -> str | None:
        token = self._peek()
        if token is None or token.kind != "name" or token.text not in words:
            return None
        self.next += 1
        return token.text

    def _mark(self, mark: str) -> bool:
        token = self._peek()
        if token is None or token.kind != "mark" or token.text != mark:
            return False
        self.next += 1
        return True

    def _need(self, mark: str) -> None:
        if not self._mark(mark):
            self._fail(f"expected {mark!r}")

    def _fail(self, why: str) -> NoReturn:
        token = self._peek()
        self._refuse(token.at if token else len(self.source), why)

    def _refuse(self, at: int, why: str) -> NoReturn:
        raise BadParameter(self.option, self.source, f"at position {at + 1}: {why}")

    def _deeper(self, parse: Callable[[], Operand]) -> Operand:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH}")
        operand = parse()
        self.depth -= 1
        return operand

    # conditions

    def _or(self) -> Operand:
        return self._chain("or", self._and)

    def _and(self) -> Operand:
        return self._chain("and", self._not)

    def _chain(self, word: str, parse: Callable[[], Operand]) -> Operand:
        """Conditions joined by one word, without parentheses between: SQLite's parser has 100 places."""
        first = parse()
        parts = [first]
        while self._word(word):
            parts.append(parse())
        if len(parts) == 1:
            return first
        conditions = [self._condition(part) for part in parts]
        sql = f" {word.upper()} ".join(sql for sql, _ in conditions)
        return Operand({"bool": (sql, tuple(p for _, some in conditions for p in some))})

    def _not(self) -> Operand:
        if self._word("not"):
            sql, params = self._condition(self._deeper(self._not))
            return Operand({"bool": (f"(NOT coalesce({sql}, 0))", params)})
        return self._comparison()

    def _condition(self, value: Operand) -> Sql:
        """A value as a condition, closed over the rows it hops over."""
        if "bool" not in value.forms:
            self._fail(f"{value.text or 'this'} is a value, not a condition")
        sql, params = value.forms["bool"]
        return _close(sql, value.hops), params

    def _comparison(self) -> Operand:
        left = self._term()
        word = self._word(*_COMPARE)
        if word is None:
            return left
        right = self._term()
        return Operand({"bool": self._compare(word, left, right)})

    def _nearer(self, word: str, left: Operand, right: Operand) -> Sql | None:
        """A distance between a kept geometry and a given one that is below a number: the index knows."""
        if right.between is not None:
            left, right, word = right, left, {"gt": "lt", "ge": "le"}.get(word, "")
        if word not in ("lt", "le") or left.between is None or right.constant is None or self.space is None:
            return None
        one, other = left.between
        if isinstance(other, Stored):
            one, other = other, one
        if not isinstance(one, Stored) or isinstance(other, Stored):
            return None
        return self.space.nearer(one, other, right.constant, strictly=word == "lt")

    def _compare(self, word: str, left: Operand, right: Operand) -> Sql:
        near = self._nearer(word, left, right)
        if near is not None:
            return near
        hops = left.hops + right.hops
        if "null" in right.forms or "null" in left.forms:
            if word not in ("eq", "ne"):
                self._fail("null can only be compared by eq and ne")
            other = left if "null" in right.forms else right
            forms = list(other.forms.values())
            test = " AND ".join(f"{sql} IS NULL" for sql, _ in forms)
            params = tuple(p for _, some in forms for p in some)
            return _close(f"({test})" if word == "eq" else f"(NOT ({test}))", hops), params
        for kind in _KINDS:
            if kind in left.forms and kind in right.forms:
                (l_sql, l_params), (r_sql, r_params) = left.forms[kind], right.forms[kind]
                return _close(f"({l_sql} {_COMPARE[word]} {r_sql})", hops), l_params + r_params
        sides = [" or ".join(_KINDS[k] for k in side.forms) for side in (left, right)]
        self._fail(f"{sides[0]} cannot be compared with {sides[1]}")

    # values

    def _term(self) -> Operand:
        return self._arithmetic(_TERM, lambda: self._arithmetic(_FACTOR, self._primary))

    def _arithmetic(self, words: dict[str, str], operand: Callable[[], Operand]) -> Operand:
        """Terms or factors, from left to right as in SQL."""
        left = operand()
        word = self._word(*words)
        if word is None:
            return left
        sql, params = self._as("num", left)
        hops = left.hops
        while word is not None:
            right = operand()
            r_sql, r_params = self._as("num", right)
            # OData divides real numbers; SQLite divides two integers as integers
            sql += " * 1.0" if word == "div" else ""
            sql += f" {words[word]} " + (f"nullif({r_sql}, 0)" if word in ("div", "mod") else r_sql)
            params, hops = params + r_params, hops + right.hops
            word = self._word(*words)
        return Operand({"num": (f"({sql})", params)}, hops)

    def _as(self, kind: str, value: Operand) -> Sql:
        if kind not in value.forms:
            self._fail(f"{value.text or 'the value'} is not {_KINDS[kind]}")
        return value.forms[kind]

    def _primary(self) -> Operand:
        token = self._peek()
        if token is None:
            self._fail("expected a value")
        if self._mark("("):
            operand = self._deeper(self._or)
            self._need(")")
            if "bool" in operand.forms:
                sql, params = operand.forms["bool"]
                return Operand({**operand.forms, "bool": (f"({sql})", params)}, operand.hops, operand.text)
            return operand
        self.next += 1
        if token.kind == "string":
            return Operand({"str": ("?", (token.text[1:-1].replace("''", "'"),))}, text=token.text)
        if token.kind == "number":
            number = _number(token.text)
            return Operand({"num": ("?", (number,))}, text=token.text, constant=number)
        if token.kind == "time":
            return self._time(token)
        if token.kind in ("date", "clock"):
            return self._day(token)
        if token.kind == "geo":
            return self._geometry(token)
        if token.kind != "name" or token.text in _WORDS:
            self.next -= 1
            self._fail("expected a value")
        if token.text in ("true", "false"):
            return Operand({"bool": ("?", (int(token.text == "true"),))}, text=token.text)
        if token.text == "null":
            return Operand({"null": ("NULL", ())}, text="null")
        if self._mark("("):
            return self._function(token)
        return self._path(token)

    def _time(self, token: _Token) -> Operand:
        # a plus sign that was not percent-encoded arrives as a space
        text = token.text.replace(" ", "+")
        try:
            return Operand({"time": ("?", (parse_time(text, "time"),))}, text=text)
        except BadBody as error:
            self._refuse(token.at, str(error))

    def _day(self, token: _Token) -> Operand:
        """A date as its text, a time of day as its milliseconds."""
        text = token.text
        try:
            if token.kind == "date":
                return Operand({"date": ("?", (date.fromisoformat(text).isoformat(),))}, text=text)
            at = time.fromisoformat(text)
        except ValueError as error:
            self._refuse(token.at, str(error))
        whole = (at.hour * 60 + at.minute) * 60 + at.second
        return Operand({"clock": ("?", (whole * 1000 + at.microsecond // 1000,))}, text=text)

    def _geometry(self, token: _Token) -> Operand:
        try:
            return Operand({}, text=token.text, place=literal(token.text.partition("'")[2][:-1]))
        except ValueError as error:
            self._refuse(token.at, str(error))

    def _arguments(self) -> list[Operand]:
        arguments: list[Operand] = []
        while not self._mark(")"):
            if arguments:
                self._need(",")
            arguments.append(self._deeper(self._term))
        return arguments

    def _spatial(self, token: _Token, space: Space) -> Operand:
        """A function of geometries: a condition or a number."""
        name, arguments = token.text, self._arguments()
        wanted = 1 if name == "geo.length" else 2
        pattern = ""
        if name == "st_relate" and len(arguments) == 3:
            ((_, (pattern,)),) = (self._as("str", arguments.pop()),)
            if not isinstance(pattern, str) or not PATTERN.fullmatch(pattern):
                self._refuse(token.at, "a pattern has nine of T, F, *, 0, 1, 2")
        elif name == "st_relate" or len(arguments) != wanted:
            more = " geometries and a pattern" if name == "st_relate" else " geometries"
            self._refuse(token.at, f"{name} takes {'one geometry' if wanted == 1 else f'two{more}'}")
        places: list[Place] = []
        for one in arguments:
            if one.place is None:
                self._refuse(token.at, f"{one.text or 'the value'} is not a geometry")
            places.append(one.place)
        hops = tuple(hop for one in arguments for hop in one.hops)
        if name == "geo.length":
            return Operand({"num": space.length(places[0])}, hops, name)
        if name == "geo.distance":
            number = space.distance(places[0], places[1])
            return Operand({"num": number}, hops, name, between=(places[0], places[1]))
        condition = space.relation(name, places[0], places[1], pattern)
        both = all(isinstance(place, Stored) for place in places)
        return Operand({"bool": condition}, hops if both else (), name)

    def _function(self, token: _Token) -> Operand:
        if self.space is not None and token.text in FUNCTIONS:
            return self._spatial(token, self.space)
        known = functions.FUNCTIONS.get(token.text)
        if known is None and token.text != "now":
            names = ", ".join((*functions.FUNCTIONS, "now", *FUNCTIONS))
            self._refuse(token.at, f"no function {token.text[:30]}; known: {names}")
        arguments = self._arguments()
        if known is None:
            return self._now(token, arguments)
        meant = next((one for one in known if len(one.takes) == len(arguments)), None)
        if meant is None:
            numbers = " or ".join(str(len(one.takes)) for one in known)
            self._refuse(token.at, f"{token.text} takes {numbers} arguments")
        forms = [self._as(kind, value) for kind, value in zip(meant.takes, arguments, strict=True)]
        hops = tuple(hop for value in arguments for hop in value.hops)
        parts = re.split(r"\{(\d)\}", meant.sql)
        sql = "".join(forms[int(p)][0] if i % 2 else p for i, p in enumerate(parts))
        params = tuple(v for i, p in enumerate(parts) if i % 2 for v in forms[int(p)][1])
        return Operand({meant.gives: (sql, params)}, hops, token.text)

    def _now(self, token: _Token, arguments: list[Operand]) -> Operand:
        if arguments:
            self._refuse(token.at, "now takes 0 arguments")
        return Operand({"time": ("?", (now_ms(),))}, text="now()")

    def _path(self, token: _Token) -> Operand:
        """A property of this entity, of a JSON property, or of entities it navigates to."""
        entity, alias = self.entity, "a"
        hops: tuple[str, ...] = ()
        navs: tuple[Nav, ...] = ()
        name = token.text
        while nav := entity.nav(name):
            if len(hops) >= MAX_HOPS:
                self._refuse(token.at, f"at most {MAX_HOPS} navigations")
            self.aliases += 1
            target, entity = f"h{self.aliases}", SETS[nav.target]
            join = nav.join.replace("{a}", alias).replace("{b}", target)
            hops = (*hops, f"EXISTS (SELECT 1 FROM {entity.table} {target} WHERE {join} AND %s)")  # noqa: S608
            alias, navs = target, (*navs, nav)
            name = self._segment(f"expected a property of {entity.single}")
        if name in ("id", "@iot.id"):
            return Operand({"num": (f"{alias}.id", ())}, hops, name)
        prop = entity.prop(name)
        if prop is None:
            known = ", ".join(["id", *(p.name for p in entity.props), *(n.name for n in entity.navs)])
            self._refuse(token.at, f"{entity.single} has no {name[:40]!r}; known: {known}")
        keys: list[str] = []
        while self._mark("/"):
            self.next -= 1
            keys.append(self._segment("expected a key"))
        if keys and prop.kind not in ("json", "extra"):
            self._refuse(token.at, f"{name} has no members")
        kept = prop.parts == "geometry" and not keys
        place = Stored(entity.set, alias, self.entity, navs) if kept else None
        return Operand(_forms(prop, alias, keys), hops, name, place)

    def _segment(self, expected: str) -> str:
        if not self._mark("/"):
            self._fail(expected)
        token = self._peek()
        if token is None or token.kind != "name":
            self._fail(expected)
        self.next += 1
        return token.text


def _close(sql: str, hops: tuple[str, ...]) -> str:
    for hop in reversed(hops):
        sql = hop.replace("%s", sql)
    return sql


def _number(text: str) -> int | float:
    value = float(text)
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    return value


def _json_forms(column: str, path: str) -> dict[str, Sql]:
    extract = f"json_extract({column}, ?)"
    two = (path, path)
    return {
        "num": (
            f"(CASE WHEN json_type({column}, ?) IN ('integer', 'real') THEN {extract} END)",
            two,
        ),
        "str": (f"(CASE WHEN json_type({column}, ?) = 'text' THEN {extract} END)", two),
        "bool": (f"(CASE json_type({column}, ?) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)", (path,)),
    }


def _forms(prop: Prop, alias: str, keys: list[str]) -> dict[str, Sql]:
    columns = prop.sql(alias)
    if prop.kind == "text":
        return {"str": (columns[0], ())}
    if prop.kind in ("time", "interval"):
        return {"time": (columns[0], ())}
    if prop.kind == "result":
        text = _json_forms(columns[1], "$")
        return {"num": (columns[0], ()), "str": text["str"], "bool": text["bool"]}
    path = "$" if prop.kind == "json" else f"$.{prop.name}"
    path += "".join('."' + key.replace('"', "") + '"' for key in keys)
    return _json_forms(columns[-1], path)


def compile_filter(option: str, text: str, entity: Entity, space: Space | None = None) -> Sql:
    """``$filter`` as a condition over alias ``a``; ``space`` answers of geometries. Raises BadParameter."""
    return Parser(option, text, entity, space).filter()


def compile_orderby(option: str, text: str, entity: Entity, space: Space | None = None) -> Sql:
    """``$orderby`` as the terms after ORDER BY, ties broken by id. Raises BadParameter."""
    terms: list[str] = []
    params: Params = ()
    for value, descending in Parser(option, text, entity, space).orderby():
        for sql, some in value.forms.values():
            terms.append(f"{sql}{' DESC' if descending else ''}")
            params += some
            if entity.set == "Observations" and sql == "a.t":
                # the key's own order, so that a stream is read along its leaves
                terms.append(f"a.n{' DESC' if descending else ''}")
    return ", ".join([*terms, "a.id"]), params
