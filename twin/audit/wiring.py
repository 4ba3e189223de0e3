"""The audit of a city by its settings: of a server, and of a verb of the command line."""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from layers.audit.sealing import Sealer
from layers.errors import ReadOnly, TwinError
from layers.store.base import Store
from twin import settings
from twin.audit import Auditor
from twin.audit.exports import Export, Sender
from twin.audit.files import Files
from twin.audit.syslog import Syslog
from twin.operator import operator
from twin.setting_values import SyslogAddress
from twin.settings import AUDIT_DAYS, CitySettings

#: How long a server leaves a load to the verb that made it, which seals it before it ends.
PATIENCE_S = 20.0
#: What syslog was sent last.
POSITION = "audit-syslog.json"

log = logging.getLogger("twin")


def of_server(folder: Path, conf: CitySettings, store: Store) -> Auditor:
    """That of a server. Raises Unavailable where the hash function is not there."""
    sealer = _sealer(conf, store, patience=PATIENCE_S)
    if sealer is not None and isinstance(conf.audit.days, float | int) and conf.audit.days < AUDIT_DAYS:
        log.warning("audit.days: %g are fewer than the six months that some laws ask for", conf.audit.days)
    if sealer is not None:
        with suppress(TwinError):  # a database may be away
            begin(conf, store)
    return Auditor(store, sealer, _senders(folder, conf, store), _facts(folder))


def _senders(folder: Path, conf: CitySettings, store: Store) -> list[Sender]:
    """What sends entries on, to folders and files below that of the city, or elsewhere on the machine."""
    said = conf.audit
    exports: list[Export] = []
    if said.files is not None:
        exports.append(Files(folder / said.files))
    if said.syslog is not None:
        ca = None if said.syslog_ca is None else folder / said.syslog_ca
        exports.append(Syslog(SyslogAddress.parsed(said.syslog), folder / POSITION, ca))
    return [Sender(store, export) for export in exports]


def begin(conf: CitySettings, store: Store) -> None:
    """Begin the audit where there is none: what is done from now on is in it. Later, where others write."""
    sealer = _sealer(conf, store)
    if sealer is not None and store.audit.head() is None:
        with suppress(TwinError):
            sealer.seal()


def told(conf: CitySettings, store: Store, kind: str = "", **facts: Any) -> None:
    """Seal what a verb did, and tell of it where it makes no change set. A change set that cannot be sealed
    now, for others write, is by the next who does. Raises, for a ``kind`` alone, Busy, ReadOnly, Unavailable:
    nobody else could tell of it, and it is not in the audit."""
    if kind and conf.audit.enabled and store.read_only:
        raise ReadOnly("the city cannot be written")
    sealer = _sealer(conf, store)
    if sealer is None:
        return
    if kind:
        by = operator()
        sealer.tell(kind, actor=by.actor, address=by.address, **facts)
        sealer.seal()
        return
    with suppress(TwinError):
        sealer.seal()


def _sealer(conf: CitySettings, store: Store, *, patience: float = 0.0) -> Sealer | None:
    if not conf.audit.enabled or store.read_only:
        return None
    days = conf.audit.days
    kept = None if days == "forever" else float(days)
    return Sealer(store, conf.audit.hash, kept, patience=patience)


def _facts(folder: Path) -> dict[str, str | None]:
    """Who serves, from where, and by which settings."""
    by = operator()
    text = (folder / settings.FILE).read_bytes()
    return {
        "actor": by.actor,
        "address": by.address,
        "settings": f"sha256:{hashlib.sha256(text).hexdigest()}",
    }
