"""The kinds of work there are.

A module of ``twin.jobs.works`` declares one as ``WORK``. A package outside the project does the same and
names it as an entry point of the group ``onemap_twin.works``
(https://packaging.python.org/en/latest/specifications/entry-points/).
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points

from layers.errors import NotFound, shown
from twin.jobs import works
from twin.jobs.work import Work

GROUP = "onemap_twin.works"


@cache
def known() -> dict[str, Work]:
    """Every kind of work, by id."""
    modules = [
        importlib.import_module(f"{works.__name__}.{module.name}")
        for module in pkgutil.iter_modules(works.__path__)
    ]
    outside = [point.load() for point in entry_points(group=GROUP)]
    return {each.id: each for each in (*(module.WORK for module in modules), *outside)}


def find(work_id: str) -> Work:
    """A kind of work. Raises NotFound."""
    try:
        return known()[work_id]
    except KeyError:
        raise NotFound(f"there is no work {shown(work_id)}") from None
