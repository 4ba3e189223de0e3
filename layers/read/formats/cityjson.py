"""CityJSON 1.0, 1.1 and 2.0, and sequences of CityJSON features: solids and surfaces with their semantics as
meshes.

One feature a city object; its highest level of detail is taken, of surfaces before lines and points. A
parent whose children carry a body of at least its level gives them its attributes and is no feature of its
own. Positions stay in the source CRS here; z stays in its vertical datum.
Source: CityJSON specification 2.0.1, https://www.cityjson.org/specs/2.0.1/.
"""

from __future__ import annotations

from layers.read.base import ReadLimits
from layers.read.cityjson.read import is_sequence, layers, read
from layers.read.format import Format, Reader
from layers.read.formats.geojson import ENDINGS, is_json, outlined
from layers.read.jsontext import utf8
from layers.read.sample import Sample


def _is_cityjson(sample: Sample, limits: ReadLimits) -> bool:
    """By the ``type`` of a single text, or of the first line. Raises BadFile json.*."""
    if is_sequence(utf8(sample.path, sample.encoding).path):
        return True
    return outlined(sample, limits).value("type") in ("CityJSON", "CityJSONFeature")


FORMATS: tuple[Format, ...] = (
    Reader(
        name="cityjson",
        titles={"en": "CityJSON", "zh-CN": "CityJSON"},
        endings=ENDINGS,
        recognise=is_json,
        confirm=_is_cityjson,
        read=read,
        layers=layers,
        pictured=True,
    ),
)
