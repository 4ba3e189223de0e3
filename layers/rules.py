"""What whoever has the source can do about each rule of a load's report.

A reason says what is wrong with one row; this says what helps, once a rule. Rules of a whole file that is
refused say it in their reason."""

from __future__ import annotations

from collections.abc import Mapping

_REDRAW = "correct the shape in the program that it came from (QGIS: Processing, Fix geometries)"
_CHECK_CRS = "look whether the CRS is right, and declare it with --crs if it is not"
_SPLIT = "simplify the feature or split it (QGIS: Processing, Subdivide)"
_COLUMN = "rename the column in the source if the name matters"

ADVICE: Mapping[str, str] = {
    "address.city": "give the city in a column of its own",
    "address.empty": "fill in street and number, or the whole address",
    "address.no_street": "fill in the street",
    "aside.unwritten": "make room, or the folder writable, and load again with --replace",
    "check.rows": "look at all rows with --whole",
    "cityjson.object": "give the city object a type and an object as its content",
    "column.binary": "keep pictures as files, and their names in a text column",
    "column.empty": "nothing is lost: the column has no value",
    "column.folded": "the values are in the field other; a table of the same columns in all rows keeps each",
    "column.member": "put what belongs to the feature into its properties",
    "column.own": "nothing is lost: the column is the store's, not the source's",
    "column.renamed": _COLUMN,
    "component.class": "use a code of the list of components (部件大类小类)",
    "crs.by_column": "declare another CRS with --crs if the numbers are not WGS 84",
    "crs.declared": "leave --crs out to use what the file says",
    "crs.own": "declare a registered CRS with --crs if the definition is not meant",
    "datum.mixed": "load layers of different height datums apart, or convert one",
    "datum.vertical": "nothing is to be done: heights are told with their datum",
    "depth.unreadable": "give the depth as a number of metres",
    "diameter.converted": "give the diameter in millimetres if the conversion is not meant",
    "diameter.range": "correct the diameter; it is in millimetres",
    "diameter.unreadable": "give the diameter as a number of millimetres, or as DN300 or 300×400",
    "encoding.fixed": "nothing is to be done: the format has one encoding; save it again if texts look wrong",
    "encoding.sniffed": "declare it with --encoding if texts look wrong",
    "geometry.collection": "make a feature of each part (QGIS: Multipart to singleparts)",
    "geometry.degenerate": "draw the feature anew, or delete it",
    "geometry.depth": "take the geometry out of the collections around it",
    "geometry.invalid": "look at the repaired shape; " + _REDRAW,
    "geometry.flat": "nothing is to be done: the heights of the kind are its fields",
    "geometry.heights": "give every position a height, or none",
    "geometry.measures": "nothing is to be done: a layer keeps no measures",
    "geometry.missing": "draw the feature, or leave it out; a table of things without a place is no layer",
    "geometry.nan": "give the coordinates as numbers",
    "geometry.range": _CHECK_CRS,
    "geometry.type": "load the rows of another type as a layer of their own, with another --kind",
    "geometry.unreadable": _REDRAW,
    "geometry.zero": "survey the point, or leave the row out",
    "height.below_min": "correct the height, or that of the underside",
    "height.range": "correct the height; it is in metres",
    "height.unreadable": "give the height as a number of metres",
    "id.chosen": "name another column with --id if these are not the ids",
    "id.duplicate": "give each row an id of its own, or name another column with --id",
    "json.syntax": "write each line as one feature",
    "kind.guessed": "say what the rows are with --kind",
    "levels.above_min": "correct the storeys, or the storey that the part begins at",
    "levels.range": "correct the number of storeys",
    "levels.unreadable": "give the storeys as a number",
    "limit.depth": "take the geometry out of the collections around it",
    "limit.vertices": _SPLIT,
    "match.vague": "give the rows a column of ids that stay the same, and name it with --id",
    "medium.unknown": "use a word of the list of media (给水, 排水, 燃气, …)",
    "mesh.nan": "correct the coordinates of the body",
    "mesh.not_drawn": "load with --kind cim",
    "min_height.range": "correct the height of the underside; it is in metres",
    "min_height.unreadable": "give the height of the underside as a number of metres",
    "min_level.range": "correct the storey that the part begins at",
    "min_level.unreadable": "give the storey that the part begins at as a number",
    "roof.flat": "give another roof form, or a footprint that it fits",
    "row.cells": "give the row as many cells as the header; a text with a separator needs quotes",
    "semantics.inferred": "name roof, wall and ground in the source if slopes do not tell them",
    "source.ignored": "load the file alone if it is meant",
    "surface.degenerate": "nothing is lost that could be seen",
    "surface.upright": "draw the ground below the surfaces, or load them as lines",
    "text.encoding": "declare the encoding with --encoding",
    "time.field": "name the layer's time with --time-field",
    "time.text": "write all values of the column as dates, or all as dates with a time",
    "time.unreadable": "write the time as 2020-01-31T08:30:00",
    "time.zone": "declare the zone with --time-zone if the clock was another",
}
