"""Who is to act (权责清单): rows of duty, disputes that were decided, and what follows from them at a place.

Rows are tried in this order, and the first whose words mean a unit decides: a dispute; of components the
owner before the area, of events the area before the owner; a condition before its item; a smaller area before
a larger; the row's own order; the newer; the code of the unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from twin.demo.lanjiang import names
from twin.demo.lanjiang.administration import units
from twin.demo.lanjiang.administration.items import COMPONENT, Item
from twin.demo.lanjiang.draws import draws

OWNER = "owner_of(component)"
#: Words of the table of items for what an area's unit does.
WORDS = {
    "所属街办": "street_of()",
    "属地行政执法部门": "enforcement_of()",
    "所属环卫所": "area_unit(sanitation)",
    "属地派出所": "police_of()",
    "物业服务企业": "property_of(building)",
    "各产权单位": OWNER,
}
#: What each of these words asks of a place.
FUNCTIONS = {
    "street_of()": units.STREET,
    "enforcement_of()": units.ENFORCEMENT,
    "area_unit(sanitation)": units.SANITATION,
    "police_of()": units.STATION,
    "property_of(building)": units.PROPERTY,
}
MAIN, ASSIST = "主办", "协办"
#: The months of the rain, in which water on roads is another unit's.
FLOOD = (date(2026, 5, 1), date(2026, 9, 30))
_SINCE, _UNTIL = date(2026, 1, 1), date(2026, 12, 31)
#: The share of items that a subdistrict has given to a unit of its own.
_OWN = 0.3


@dataclass(frozen=True, slots=True)
class Duty:
    """A row: an item or a condition (``scope``), who (``who``), where (a division's code), since when."""

    id: str
    scope: str
    part: str
    who: str
    where: str
    order: int
    since: date = _SINCE
    until: date = _UNTIL
    season: tuple[date, date] | None = None
    basis: str = "岚城管〔2026〕3号(虚构)"

    def holds(self, day: date) -> bool:
        """Whether it holds on a day."""
        first, last = self.season or (self.since, self.until)
        return self.since <= day <= self.until and first <= day <= last


@dataclass(frozen=True, slots=True)
class Dispute:
    """A decision that an item is a unit's in a community, whatever rows say."""

    id: str
    scope: str
    where: str
    unit: str
    decided: date


def aliases() -> dict[str, str]:
    """Codes of the city's units by each of their names."""
    return {name: one.code for one in units.city() for name in (one.name, *one.aliases)}


def citywide(items: tuple[Item, ...]) -> Iterator[Duty]:
    """The rows that hold in all of the city: the words of each item, as alternatives in their order."""
    known = aliases()
    for item in items:
        for order, word in enumerate(item.who, 1):
            who = WORDS.get(word) or f"unit:{known[word]}"
            yield Duty(f"D-{_number(item)}-{order}", item.id, MAIN, who, names.CODE, 10 * order)
        if item.sheet == COMPONENT and len(item.conditions) > 1:
            yield Duty(f"D-{_number(item)}-9", item.id, ASSIST, "street_of()", names.CODE, 90)
        if item.name == "道路积水":
            # who leads while the rains last
            row_id, deep = f"D-{_number(item)}-7", item.conditions[0].id
            yield Duty(row_id, deep, MAIN, f"unit:{known['市政处']}", names.CODE, 5, season=FLOOD)


def of_subdistrict(seed: int, code: str, items: tuple[Item, ...]) -> Iterator[Duty]:
    """Rows by which a subdistrict has given items to another of its units."""
    force, cleaners = f"U{code[-3:]}02", f"U{code[-3:]}03"
    for item in items:
        if item.sheet == COMPONENT:
            continue
        chance = float(draws(seed, "duties", int(code[-3:]), int(item.main), int(item.sub)).random())
        if chance >= _OWN:
            continue
        who = cleaners if item.main == "01" and chance < _OWN / 2 else force
        if item.main in ("05", "06"):
            who = f"U{code[-3:]}01"
        scope = item.id if chance < 0.8 * _OWN else item.conditions[0].id
        basis = f"{code[-3:]}街道职责清单(虚构)"
        yield Duty(
            f"D-{_number(item)}-S{code[-3:]}",
            scope,
            MAIN,
            f"unit:{who}",
            code,
            10,
            date(2026, 2, 1),
            basis=basis,
        )


def disputes(seed: int, i: int, j: int, items: tuple[Item, ...]) -> Iterator[Dispute]:
    """What was decided about a community."""
    code, _ = names.community(i, j)
    random = draws(seed, "disputes", i, j)
    pool = [one for one in items if one.small and one.main in ("01", "04", "07") and one.sheet != COMPONENT]
    if random.random() < 0.6:
        item = pool[int(random.integers(len(pool)))]
        unit = f"U{code[6:9]}0{int(random.integers(1, 4))}"
        yield Dispute(f"Z-{code[6:]}-1", item.id, code, unit, date(2026, 3, int(random.integers(2, 28))))


def _number(item: Item) -> str:
    return f"{'B' if item.sheet == COMPONENT else 'S'}{item.main}{item.sub}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a case is, and whose component it is about, if it is about one."""

    subdistrict: str
    community: str
    owner: str | None


class Tables:
    """The rows that hold in a superblock, and who has which function there."""

    def __init__(self, seed: int, i: int, j: int, items: tuple[Item, ...]) -> None:
        code, name = names.subdistrict(i, j)
        self._functions: Mapping[str, str] = {
            what: unit.code
            for what, unit in zip(
                (units.STREET, units.ENFORCEMENT, units.SANITATION, units.STATION),
                units.of_subdistrict(code, name),
                strict=True,
            )
        }
        if company := units.of_community(seed, i, j):
            self._functions = {**self._functions, units.PROPERTY: company.code}
        self._disputes = {one.scope: one for one in disputes(seed, i, j, items)}
        self._rows: dict[str, list[Duty]] = {}
        for row in (*citywide(items), *of_subdistrict(seed, code, items)):
            self._rows.setdefault(row.scope, []).append(row)

    def main(self, item: Item, condition: str, place: Place, day: date) -> tuple[str, str]:
        """(unit, row by which it is to act). Raises LookupError: no row means a unit."""
        if dispute := self._disputes.get(item.id):
            return dispute.unit, dispute.id
        rows = [
            row
            for scope in (condition, item.id)
            for row in self._rows.get(scope, ())
            if row.part == MAIN and row.holds(day)
        ]
        component = item.sheet == COMPONENT
        found = [
            (
                (row.who == OWNER) is not component,
                row.scope != condition,
                row.where == names.CODE,
                row.order,
                -row.since.toordinal(),
                unit,
                row.id,
            )
            for row in rows
            if (unit := self.meant(row.who, place))
        ]
        if not found:
            raise LookupError(condition)
        *_, unit, row_id = min(found)
        return str(unit), str(row_id)

    def assists(self, item: Item, place: Place, day: date) -> list[str]:
        """Units that are to help."""
        rows = [row for row in self._rows.get(item.id, ()) if row.part == ASSIST and row.holds(day)]
        return [unit for row in rows if (unit := self.meant(row.who, place))]

    def meant(self, who: str, place: Place) -> str | None:
        """The unit that words mean at a place."""
        if who.startswith("unit:"):
            return who.removeprefix("unit:")
        return place.owner if who == OWNER else self._functions.get(FUNCTIONS[who])
