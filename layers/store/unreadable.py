"""Geometries and bodies that another program stored and that are read by nobody: told once each, their rows
served."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from threading import Lock

from layers.errors import Unreadable
from layers.mesh import Mesh
from layers.model import Rows
from layers.wkb import faults

log = logging.getLogger("twin")
#: Features that are remembered as told.
_MOST = 10_000
_logged: OrderedDict[tuple[str, int, str], None] = OrderedDict()
_lock = Lock()


def sound(
    layer: str,
    fids: Iterable[int],
    stored: Sequence[bytes | None],
    faults: Callable[[Sequence[bytes]], list[str | None]] = faults,
) -> list[bytes | None]:
    """The stored geometries of some features with None for those of which ``faults`` tells one."""
    found = faults([one for one in stored if one is not None])
    if not any(found):
        return list(stored)
    wrong = iter(found)
    out: list[bytes | None] = []
    for fid, one in zip(fids, stored, strict=True):
        why = None if one is None else next(wrong)
        if why is not None:
            _log(layer, int(fid), why)
        out.append(None if why else one)
    return out


def meshes(layer: str, bodies: Iterable[tuple[int, bytes]]) -> dict[int, Mesh]:
    """The bodies of some features, those that can be read."""
    out: dict[int, Mesh] = {}
    for fid, body in bodies:
        try:
            out[fid] = Mesh.from_bytes(bytes(body))
        except (ValueError, TypeError) as error:
            _log(layer, int(fid), f"its body cannot be read ({error})", "body")
    return out


def placed(rows: Rows) -> Rows:
    """Those of the rows that have a geometry."""
    positions = [at for at, one in enumerate(rows.wkb) if one is not None]
    if len(positions) == len(rows.wkb):
        return rows
    values = {name: [column[at] for at in positions] for name, column in rows.properties.items()}
    return replace(rows, fids=rows.fids[positions], wkb=[rows.wkb[at] for at in positions], properties=values)


def refusal(layer: str, fid: int, why: str) -> Unreadable:
    """The answer to who asks for such a feature alone."""
    return Unreadable(f"feature {fid} of layer {layer} was stored by another program, and {why}")


def _log(layer: str, fid: int, why: str, lacking: str = "geometry") -> None:
    """One line in the log for a feature, while it is remembered."""
    with _lock:
        key = layer, fid, why
        known = key in _logged
        _logged[key] = None
        _logged.move_to_end(key)
        if len(_logged) > _MOST:
            _logged.popitem(last=False)
    if not known:
        what = refusal(layer, fid, why)
        log.warning("%s; it is served without %s until it is corrected", what, lacking)
