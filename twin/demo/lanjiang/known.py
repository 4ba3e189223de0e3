"""A superblock with all that is made of it, for whoever makes more of it."""

from __future__ import annotations

from functools import cached_property

from twin.demo.lanjiang import addresses, parcels, plan
from twin.demo.lanjiang.buildings import Building, buildings
from twin.demo.lanjiang.components import Component, components
from twin.demo.lanjiang.plan import Layout, Superblock


class Known:
    """Streets, parcels, buildings and door plates of a superblock."""

    def __init__(self, seed: int, i: int, j: int, size: str) -> None:
        self.seed = seed
        self.of: Superblock = plan.superblock(seed, i, j)
        self.laid: Layout = plan.layout(seed, self.of)
        self.parcels = parcels.parcels(seed, self.of, self.laid)
        self.built: list[tuple[parcels.Parcel, list[Building]]] = [
            (parcel, buildings(seed, self.of, parcel)) for parcel in self.parcels
        ]
        self.plates = addresses.plates(self.of, self.laid, self.built)
        #: A main road belongs to the superblock in the north or east of it, where the size has that.
        self.size = frozenset(plan.cells(size))

    @cached_property
    def components(self) -> list[Component]:
        """What stands along the streets."""
        return components(self.seed, self.of, self.laid)
