"""Rights from outside: whoever has no key is a guest."""

from __future__ import annotations

from twin.access.rights import ALL


class KeyOrGuest:
    """Two classes of callers; what a guest sees, a subclass says."""

    def class_of(self, name: str | None, may: object) -> str:
        """As :meth:`twin.access.rights.Rights.class_of`."""
        return "guest" if name is None else ALL
