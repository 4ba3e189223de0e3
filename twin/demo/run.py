"""``twin demo`` and ``twin simulate``: a demo city, its server, and a simulator beside it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from importlib.resources import as_file, files
from pathlib import Path

from layers.errors import NotFound
from layers.store import geopackage
from twin import server, verbs
from twin.access.keys import Action, Keys


def demo(name: str, folder: Path, host: str, port: int, *, simulator: bool) -> None:
    """Make the demo city's folder unless it is there, serve it, play its sensors. Raises NotFound."""
    server.bind(host, port).close()  # a taken port is told before the load, not after it
    if not (folder / "city.gpkg").exists():
        _make(name, folder)
    players: list[subprocess.Popen[bytes]] = []

    def ready(url: str) -> None:
        # the city is ours only now: a second demo of the same folder must not take the first one's keys
        page_key = _fresh_key(folder, "page", ("edit", "observe", "incident"))
        simulator_key = _fresh_key(folder, "simulator", ("observe", "incident"))
        print(f"\n  The map of {name}:  {url}/#key={page_key}\n  OGC API:  {url}/ogc\n", flush=True)
        print("  Ctrl-C stops the server" + (" and the simulator." if simulator else "."), flush=True)
        if simulator:
            players.append(_simulator(url, simulator_key))

    try:
        server.serve(folder, host, port, ready)
    finally:
        for player in players:
            _stop(player)


def simulate(url: str, key: str, *, sensors: int, speed: float, seed: int) -> None:
    """Play until Ctrl-C or SIGTERM."""
    from twin.demo import simulator

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    simulator.run(url, key, seed=seed, speed=speed, sensors=sensors, stop=stop)


def _make(name: str, folder: Path) -> None:
    from layers import load

    with as_file(files("twin") / "config" / "demo" / name) as source:
        if not (source / "load.yml").is_file():
            raise NotFound(f"no demo city named {name!r}")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / "city.yml", folder / "city.yml")
        # loaded under another name, so that an interrupted first start begins anew
        part = folder / "loading.gpkg"
        for left in folder.glob("loading.gpkg*"):
            left.unlink()
        store = geopackage.open(part)
        try:
            for report in load.manifest(store, source / "load.yml"):
                verbs.show(report, title=f"{report.layer} ← {report.source}")
        finally:
            store.close()
        part.rename(folder / "city.gpkg")


def _fresh_key(folder: Path, name: str, may: tuple[Action, ...]) -> str:
    keys = Keys(folder)
    if name in keys.names():
        keys.remove(name)
    return keys.add(name, may)


def _simulator(url: str, key: str) -> subprocess.Popen[bytes]:
    """The simulator as a process of its own: it must not share the server's interpreter lock."""
    return subprocess.Popen(
        [sys.executable, "-m", "twin", "simulate", "--url", url],
        env={**os.environ, "TWIN_KEY": key},
        stdin=subprocess.DEVNULL,
    )


def _stop(player: subprocess.Popen[bytes]) -> None:
    player.terminate()
    try:
        player.wait(5)
    except subprocess.TimeoutExpired:
        player.kill()
        player.wait()
