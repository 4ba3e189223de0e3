"""Reserved columns of the Arrow batches between readers, loads and stores; every other is a property."""

from __future__ import annotations

ROW = "__row"  # 1-based number of the row in its file; readers give it, a stage does not take it
SOURCE_ID = "__source_id"  # string, nullable
WKB = "__wkb"  # binary, lon/lat(/height), never null in a stage
MESH = "__mesh"  # binary (layers.model.Mesh.to_bytes), nullable; the column may be absent
