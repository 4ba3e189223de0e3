"""What whoever loads a source declares of it, from the command line or a manifest down to the reader."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: Of times that name no zone, where nobody declares one.
UTC = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """Each None where the source itself, or a default, decides."""

    #: The layer inside the source.
    layer: str | None = None
    #: What the rows are, an id of ``layers.kinds``.
    kind: str | None = None
    #: The coordinate reference system, such as EPSG:4490; stands above that of the source.
    crs: str | None = None
    #: The text encoding, such as GB18030.
    encoding: str | None = None
    #: The IANA zone of times that name none.
    time_zone: str | None = None
    #: The column that ``datetime=`` filters by.
    time_field: str | None = None

    def in_zone(self, zone: str) -> Declared:
        """The same, with a zone where none was declared."""
        return self if self.time_zone else replace(self, time_zone=zone)


NOTHING = Declared()
