"""The property sets and quantities of IFC elements, those of their types among them, as attributes.

A property is called ``SET.PROPERTY``, so that two sets may have one of a name. Lengths, areas and volumes are
in metres, square and cubic metres, whatever the units of the file are; a plane angle is as it stands there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

#: Unit types whose numbers are converted, by the measures and the quantities that have them.
_UNIT_TYPES = {
    "IfcLengthMeasure": "LENGTHUNIT",
    "IfcPositiveLengthMeasure": "LENGTHUNIT",
    "IfcNonNegativeLengthMeasure": "LENGTHUNIT",
    "IfcAreaMeasure": "AREAUNIT",
    "IfcVolumeMeasure": "VOLUMEUNIT",
    "IfcQuantityLength": "LENGTHUNIT",
    "IfcQuantityArea": "AREAUNIT",
    "IfcQuantityVolume": "VOLUMEUNIT",
}
#: Complex properties inside one another, at most.
_DEEPEST = 8
#: Values of a list or table that are kept.
_MOST_VALUES = 1000
#: Digits of a number that was converted: else a foot has sixteen.
_DIGITS = 6


class Properties:
    """Reads each set of a model once; ``converted`` says whether a number was brought to metres."""

    def __init__(self, model: Any) -> None:
        from ifcopenshell.util import unit as units

        self._unit_scale = units.get_unit_scale
        self._scales = {
            kind: float(units.calculate_unit_scale(model, kind)) for kind in set(_UNIT_TYPES.values())
        }
        self.converted = False
        self._sets: dict[int, list[Any]] = defaultdict(list)
        self._types: dict[int, Any] = {}
        self._read: dict[int, Mapping[str, Any]] = {}
        for relation in model.by_type("IfcRelDefinesByProperties"):
            definition = relation.RelatingPropertyDefinition
            for element in relation.RelatedObjects or ():
                self._sets[element.id()] += _definitions(definition)
        for relation in model.by_type("IfcRelDefinesByType"):
            for element in relation.RelatedObjects or ():
                self._types[element.id()] = relation.RelatingType

    def type_of(self, element: Any) -> Any:
        """The type of an element, or None."""
        return self._types.get(element.id())

    def of(self, element: Any) -> dict[str, Any]:
        """The attributes of an element; its own stand above those of its type."""
        out: dict[str, Any] = {}
        kind = self.type_of(element)
        for definition in (*(getattr(kind, "HasPropertySets", None) or ()), *self._sets[element.id()]):
            out.update(self._of_set(definition))
        return out

    def _of_set(self, definition: Any) -> Mapping[str, Any]:
        known = self._read.get(definition.id())
        if known is None:
            name = (definition.Name or "").strip() or definition.is_a()
            known = {f"{name}.{key}": value for key, value in self._members(definition)}
            self._read[definition.id()] = known
        return known

    def _members(self, definition: Any) -> Iterator[tuple[str, Any]]:
        if definition.is_a("IfcElementQuantity"):
            yield from self._named(definition.Quantities)
        elif definition.is_a("IfcPropertySet"):
            yield from self._named(definition.HasProperties)
        else:  # a set of fixed attributes, such as IfcDoorLiningProperties
            for name, value in definition.get_info(include_identifier=False, recursive=False).items():
                if name not in _ROOT and isinstance(value, str | int | float | bool):
                    yield name, value

    def _named(self, members: Any) -> Iterator[tuple[str, Any]]:
        for one in members or ():
            if one is not None and (value := self._value(one, 0)) is not None:
                yield (one.Name or one.is_a()).strip(), value

    def _value(self, one: Any, depth: int) -> Any:
        """The value of a property or quantity; None where it has none, or is one that is not read."""
        if depth > _DEEPEST:
            return None
        kind = one.is_a()
        if kind == "IfcPropertySingleValue":
            return self._measure(one.NominalValue, one.Unit)
        if kind in ("IfcPropertyEnumeratedValue", "IfcPropertyListValue"):
            values = one.EnumerationValues if kind == "IfcPropertyEnumeratedValue" else one.ListValues
            listed = [self._measure(v, getattr(one, "Unit", None)) for v in (values or ())[:_MOST_VALUES]]
            return (listed[0] if len(listed) == 1 else listed) if listed else None
        if kind == "IfcPropertyBoundedValue":
            ends = {"lower": one.LowerBoundValue, "upper": one.UpperBoundValue}
            return {n: self._measure(v, one.Unit) for n, v in ends.items() if v is not None} or None
        if kind in ("IfcComplexProperty", "IfcPhysicalComplexQuantity"):
            members = one.HasProperties if kind == "IfcComplexProperty" else one.HasQuantities
            inner = {m.Name: self._value(m, depth + 1) for m in members or () if m is not None}
            return {n: v for n, v in inner.items() if v is not None} or None
        if one.is_a("IfcPhysicalSimpleQuantity"):
            return self._scaled(one[3], _UNIT_TYPES.get(kind), one.Unit)
        return None

    def _measure(self, value: Any, unit: Any) -> Any:
        if value is None:
            return None
        return self._scaled(value.wrappedValue, _UNIT_TYPES.get(value.is_a()), unit)

    def _scaled(self, value: Any, unit_type: str | None, unit: Any) -> Any:
        if unit_type is None or not isinstance(value, int | float) or isinstance(value, bool):
            return value if isinstance(value, str | int | float | bool) else None
        scale = self._scales[unit_type] if unit is None else float(self._unit_scale(unit))
        if scale == 1:
            return value
        self.converted = True
        return round(value * scale, _DIGITS)


#: Attributes of every definition that are no properties.
_ROOT = frozenset({"type", "GlobalId", "OwnerHistory", "Name", "Description", "ShapeAspectStyle"})


def _definitions(definition: Any) -> list[Any]:
    """One definition, or the members of a set of them."""
    if definition is None:
        return []
    return [definition] if hasattr(definition, "is_a") and definition.id() else list(definition[0])


def materials(model: Any) -> Mapping[int, str]:
    """The names of the materials of every element, or type, that has one."""
    out: dict[int, str] = {}
    for relation in model.by_type("IfcRelAssociatesMaterial"):
        names = list(dict.fromkeys(_material_names(relation.RelatingMaterial)))
        for each in relation.RelatedObjects or ():
            if names:
                out[each.id()] = "; ".join(names)
    return out


def _material_names(material: Any) -> Iterator[str]:
    """The materials of a single one, a list, or a set of layers, profiles or constituents."""
    if material is None:
        return
    if material.is_a("IfcMaterial"):
        if material.Name and material.Name.strip():
            yield material.Name.strip()
    elif material.is_a("IfcMaterialList"):
        for each in material.Materials or ():
            yield from _material_names(each)
    elif material.is_a("IfcMaterialLayerSetUsage"):
        yield from _material_names(material.ForLayerSet)
    elif material.is_a("IfcMaterialProfileSetUsage"):
        yield from _material_names(material.ForProfileSet)
    else:
        for name in ("MaterialLayers", "MaterialProfiles", "MaterialConstituents"):
            for each in getattr(material, name, None) or ():
                yield from _material_names(each.Material)
