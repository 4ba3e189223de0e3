"""What a city object says of itself, flattened: one name a value, repeated ones told apart by a number.

Generic attributes CityGML 2.0, 10.12; 3.0, 7.12. Addresses: xAL 2.0 and 3.0 (OASIS CIQ). Of extensions (ADE)
every attribute is kept, those of a nested type under the name of the property that holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lxml import etree

from layers.read.citygml.codelists import CodeLists
from layers.read.citygml.names import TAGS, XLINK, Tag, local, split

type Element = etree._Element
type Values = dict[str, Any]
#: Takes a property for something else than an attribute: a geometry, a surface, an object of its own. It is
#: asked with the property, its tag and the first element in it with its tag.
type Takes = Callable[[Element, Tag, Element | None, Tag | None], bool]

_NUMBERS = frozenset({"doubleAttribute", "measureAttribute", "DoubleAttribute", "MeasureAttribute"})
_WHOLE = frozenset({"intAttribute", "IntAttribute"})
_METRES = frozenset({"m", "#m", "urn:adv:uom:m", "urn:ogc:def:uom:EPSG::9001", "urn:ogc:def:uom:UCUM::m"})
_REPEATS = 9
_DEEPEST = 12
#: The elements of an address, and what a column of it is called.
_ADDRESS = {
    "Country": "country",
    "AdministrativeArea": "area",
    "Locality": "city",
    "DependentLocality": "district",
    "Thoroughfare": "street",
    "PostalCode": "postcode",
    "PostCode": "postcode",
    "Premise": "premise",
}
_HOUSE_NUMBERS = frozenset({"ThoroughfareNumber", "Number", "BuildingNumber", "PremiseNumber"})


class Reading:
    """Reads attributes with the code lists of a file; ``texts`` are the columns that hold no numbers."""

    def __init__(self, lists: CodeLists, texts: set[str]) -> None:
        self._lists = lists
        self._texts = texts
        self.dropped = 0
        #: Names of nested types of the object that is read.
        self._nested: set[str] = set()

    def of(self, element: Element, takes: Takes) -> Values:
        """The attributes of an object, without what ``takes`` takes."""
        out: Values = {}
        outside, self._nested = self._nested, set()
        self._children(element, "", out, takes, 0)
        self._nested = outside
        return out

    def _children(self, element: Element, prefix: str, out: Values, takes: Takes, depth: int) -> None:
        for child in element:
            tag = TAGS[child.tag]
            if tag.skipped:
                continue
            if len(child):
                inner = child[0]
                inside = TAGS[inner.tag]
                if (tag.special or inside.shape or inside.thing) and takes(child, tag, inner, inside):
                    continue
                self._property(child, tag, inner, inside, prefix, out, takes, depth)
            elif tag.special and takes(child, tag, None, None):
                continue
            elif tag.generic:
                self._property(child, tag, None, None, prefix, out, takes, depth)
            else:
                self._simple(child, tag, prefix + tag.name, out)

    def _property(
        self,
        child: Element,
        tag: Tag,
        inner: Element | None,
        inside: Tag | None,
        prefix: str,
        out: Values,
        takes: Takes,
        depth: int,
    ) -> None:
        name = tag.name
        if tag.generic and (named := _generic_name(child, inner)) is not None:
            self._generic(child if inner is None or child.get("name") else inner, named, prefix, out)
        elif name == "genericAttributeSet" or (inside is not None and inside.name == "GenericAttributeSet"):
            self._set(child if child.get("name") or inner is None else inner, prefix, out, takes, depth)
        elif inner is None or inside is None:
            self._simple(child, tag, prefix + name, out)
        elif inside.name == "KeyValuePairAttribute":
            self._pair(inner, prefix, out)
        elif name in ("address", "xalAddress"):
            self._address(child, out)
        elif depth < _DEEPEST:
            several = len(child) > 1
            for each in child:
                held = self._unused(out, prefix + name)
                if held is not None:
                    type_ = TAGS[each.tag]
                    if several or type_.folded != tag.folded:  # it says more than the property that holds it
                        out[held] = type_.name
                    self._children(each, f"{held}_", out, takes, depth + 1)
        else:
            self.dropped += 1

    def _unused(self, out: Values, name: str) -> str | None:
        """A name of a nested type that no other has; None beyond the ninth."""
        for number in range(1, _REPEATS + 1):
            called = name if number == 1 else f"{name}_{number}"
            if called not in out and called not in self._nested:
                self._nested.add(called)
                return called
        self.dropped += 1
        return None

    def _put(self, out: Values, name: str, value: Any) -> None:
        if name not in out:
            out[name] = value
            return
        for number in range(2, _REPEATS + 1):
            called = f"{name}_{number}"
            if called not in out:
                out[called] = value
                if name in self._texts:
                    self._texts.add(called)
                return
        self.dropped += 1

    def _simple(self, child: Element, tag: Tag, name: str, out: Values) -> None:
        text = (child.text or "").strip()
        if not text:
            text = (child.get(XLINK) or "").removeprefix("#")
            if not text:
                return
            self._texts.add(name)
        if (space := child.get("codeSpace")) is not None:
            self._texts.update((name, f"{name}_code"))
            if (meant := self._lists.name(space, text)) is not None:
                self._put(out, name, meant)
                self._put(out, f"{name}_code", text)
                return
        elif tag.coded:
            self._texts.add(name)
        self._put(out, name, text)
        if unit := child.get("uom"):
            if unit not in _METRES:
                self._put(out, f"{name}_uom", unit)
            elif tag.across:
                self._put(out, f"{name}_uom", "m")

    def _generic(self, holder: Element, name: str, prefix: str, out: Values) -> None:
        value = next((c for c in holder.iterchildren(etree.Element) if local(c) == "value"), None)
        text = (value.text or "").strip() if value is not None else ""
        if value is None or not text:
            return
        called = prefix + name
        kind = local(holder)
        try:
            if kind in _NUMBERS:
                self._put(out, called, float(text))
            elif kind in _WHOLE:
                self._put(out, called, int(text))
            else:
                self._texts.add(called)
                self._put(out, called, text)
        except ValueError:
            self._put(out, called, text)
        if (unit := value.get("uom")) and unit not in _METRES:
            self._put(out, f"{called}_uom", unit)

    def _set(self, holder: Element, prefix: str, out: Values, takes: Takes, depth: int) -> None:
        name = holder.get("name") or next(
            ((c.text or "").strip() for c in holder.iterchildren(etree.Element) if local(c) == "name"), "set"
        )
        for child in holder.iterchildren(etree.Element):
            tag = TAGS[child.tag]
            if tag.name != "name" and depth < _DEEPEST:
                inner = child[0] if len(child) else None
                inside = None if inner is None else TAGS[inner.tag]
                self._property(child, tag, inner, inside, f"{prefix}{name}_", out, takes, depth + 1)

    def _pair(self, holder: Element, prefix: str, out: Values) -> None:
        """A pair of PLATEAU's: a key with a value of one of several types."""
        parts = {local(c): c for c in holder.iterchildren(etree.Element)}
        key = parts.pop("key", None)
        if key is None:
            return
        code = (key.text or "").strip()
        name = prefix + (self._lists.name(key.get("codeSpace") or "", code) or f"key_{code}")
        for value in parts.values():
            self._simple(value, TAGS[value.tag], name, out)

    def _address(self, holder: Element, out: Values) -> None:
        """An address as columns; a second one of an object has the number 2."""
        found: dict[str, str] = {}
        for leaf in holder.iter(etree.Element):
            text = (leaf.text or "").strip()
            if len(leaf) or not text or "xal" not in split(str(leaf.tag))[0].casefold():
                continue
            around = [local(each) for each in (leaf, *leaf.iterancestors())]
            if _HOUSE_NUMBERS.intersection(around[:2]):
                part: str | None = "number"
            else:
                part = next((_ADDRESS[name] for name in around if name in _ADDRESS), None)
            if part is not None:
                found[part] = f"{found[part]} {text}" if part in found else text
        for part, text in found.items():
            self._texts.add(f"address_{part}")
            self._put(out, f"address_{part}", text)


def _generic_name(child: Element, inner: Element | None) -> str | None:
    """The name of a generic attribute of either version; None for what is none."""
    name = child.get("name")
    if name and not local(child).startswith("genericAttributeSet"):
        return str(name)
    if local(child) == "genericAttribute" and inner is not None and local(inner) != "GenericAttributeSet":
        return next(
            ((c.text or "").strip() for c in inner.iterchildren(etree.Element) if local(c) == "name"), None
        )
    return None
