"""GDAL in a process of its own, for the tests of the writers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gdal_read import Gdal


@pytest.fixture(scope="session")
def gdal() -> Iterator[Gdal]:
    """Reads files back."""
    child = Gdal()
    yield child
    child.close()
