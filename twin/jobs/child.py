"""A job's own process: one of a few that are kept for the next job and import what is heavy."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import resource
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layers.errors import TwinError
from layers.store.open import open_store
from tiles.service import Caches, Tiles
from twin import catalogue, settings
from twin.access.rights import Rights
from twin.catalogue.view import View
from twin.jobs import registry
from twin.jobs.work import WorkContext

#: prctl(PR_SET_PDEATHSIG): no job outlives its server.
_PR_SET_PDEATHSIG = 1
#: In the job's folder once its work is begun.
BEGUN = "begun"
#: What is asked and answered at once goes before what somebody waits for anyway.
NICER = 5


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is told to do, for whom, in which city and folder. ``server`` is who told it."""

    work: str
    input: Mapping[str, Any]
    rights: str
    rules: Rights
    city: Path
    folder: Path
    server: int


def perform(order: Order) -> Mapping[str, Any] | TwinError:
    """Do one job. Gives what its work returns, or the error that it raised on purpose."""
    _bind_to_server(order.server)
    (order.folder / BEGUN).touch()
    try:
        kind = registry.find(order.work)
        conf = settings.load(order.city)
        store = open_store(order.city, conf.database(), crs_also=(conf.crs,))
        with contextlib.closing(store):

            def tiles(view: View) -> Tiles:
                return catalogue.tiles_of(view, conf, order.city, Caches())

            view = catalogue.view_of(store, conf, tiles, order.rights, order.rules)
            return kind.run(kind.read(order.input), WorkContext(view, order.folder, [], order.city))
    except TwinError as error:
        return error


@functools.cache
def _bind_to_server(server: int) -> None:
    """Once a process: it ends with its server, and a Ctrl-C at the terminal is the server's to answer."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICER)
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
