"""CityGML 2.0 and 3.0: buildings and all other city objects, with their surfaces as bodies.

One feature an object; its highest level of detail is taken, of surfaces before lines and points. A parent
whose parts carry a body of at least its level gives them its attributes and is no feature of its own. Objects
of different themes are layers apart. Positions stay in the source CRS here; z stays in its vertical datum.
Source: OGC 12-019 (CityGML 2.0), OGC 20-010 and 21-006r2 (CityGML 3.0 and its GML encoding).
"""

from __future__ import annotations

from layers.read.base import ReadLimits
from layers.read.citygml.read import layers, read
from layers.read.citygml.stream import outermost
from layers.read.format import Format, Reader
from layers.read.sample import Sample


def _is_xml(sample: Sample) -> bool:
    return sample.text.startswith(b"<")


def _is_citygml(sample: Sample, _limits: ReadLimits) -> bool:
    """By the outermost element. Raises BadFile xml.doctype."""
    return outermost(sample.path) == "CityModel"


FORMATS: tuple[Format, ...] = (
    Reader(
        name="citygml",
        titles={"en": "CityGML", "zh-CN": "CityGML"},
        endings=(".gml", ".xml", ".citygml"),
        pictured=True,
        recognise=_is_xml,
        confirm=_is_citygml,
        read=read,
        layers=layers,
    ),
)
