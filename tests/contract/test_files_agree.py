"""The files of a layer are the same bytes from every store."""

from __future__ import annotations

from pathlib import Path

import shapely

from layers.query import Query
from layers.store.base import Store
from layers.store.database import Database
from layers.store.open import open_store
from layers.types import Field
from layers.write import FORMATS, stream
from tests.postgres import Cluster
from tests.storing import FIELDS, load, row, spec, square


def files(store: Store) -> dict[str, bytes]:
    fields = (*FIELDS, Field("tags", "array"), Field("名称", "string"))
    rows = [
        row(
            "a",
            square(1, 2),
            name='甲,"乙"\n',
            height_m=1e300,
            levels=-(2**62),
            listed=True,
            built="0999-12-31",
            seen="2024-02-29T12:00:00.5+01:00",
            tags='["甲", 1, 2.50, null, true]',
            名称="=1",
        ),
        row("b", shapely.Point(1, 2, 3), listed=False, tags="[]", height_m=0.1 + 0.2),
        row("c", shapely.MultiLineString([[(0, 0), (1, 1)], [(2, 2), (3, 3)]])),
    ]
    load(store, spec(fields=fields, geometry_type="Geometry"), rows, "create")
    layer = store.layer("buildings")
    return {
        name: b"".join(stream(name, layer, store.scan("buildings", Query(limit=None), 2)))
        for name, form in FORMATS.items()
        if form.streamed
    }


def test_files_agree(postgres: Cluster, tmp_path: Path) -> None:
    found = []
    for database in (None, Database(postgres.database())):
        store = open_store(tmp_path, database)
        found.append(files(store))
        store.close()
    assert found[0] == found[1]
    assert all(len(body) > 300 for body in found[0].values())
