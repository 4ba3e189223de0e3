"""``twin demo`` and ``twin simulate``: a demo city, its server, and a simulator beside it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

from layers import shipped
from layers.errors import BadParameter, Exists, NotFound
from layers.store.database import Database
from layers.store.open import open_store
from twin import server, settings, template, verbs
from twin.access.keys import Keys
from twin.access.rights import Action

#: Demo cities that are made on the spot.
GENERATED = ("lanjiang",)


def demo(name: str, folder: Path, host: str, port: int, *, simulator: bool, store: str | None = None) -> None:
    """Make the demo city's folder unless it is there, serve it, play its sensors.

    ``store`` is the address of a database for its features. Raises NotFound, Exists (the folder is
    there and keeps them elsewhere)."""
    server.bind(host, port).close()  # a taken port is told before the load, not after it
    if not _exists(folder):
        _make(name, folder, store)
    elif store is not None and store != _store_of(folder):
        raise Exists("this demo folder keeps its features elsewhere: take another --dir")
    players: list[subprocess.Popen[bytes]] = []

    def ready(url: str) -> None:
        # the city is ours only now: a second demo of the same folder must not take the first one's keys
        page_key = _fresh_key(folder, "page", ("edit", "observe", "configure", "incident"))
        simulator_key = _fresh_key(folder, "simulator", ("observe", "configure", "incident"))
        page = f"{url}/#key={page_key}" + ("&lang=zh-CN" if name in GENERATED else "")
        print(f"\n  The map of {name}:  {page}\n  OGC API:  {url}/ogc\n", flush=True)
        print("  Ctrl-C stops the server" + (" and the simulator." if simulator else "."), flush=True)
        if simulator:
            players.append(_simulator(url, simulator_key))

    # left to itself, SIGTERM ends this process at once and leaves the simulator
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        server.serve(folder, host, port, ready)
    finally:
        for player in players:
            _stop(player)


def simulate(
    url: str, key: str, *, sensors: int, speed: float, seed: int, script: str = "", start: str = ""
) -> None:
    """Play until Ctrl-C or SIGTERM. Raises BadParameter (``start`` is no time, ``script`` none there is)."""
    from twin.demo import simulator

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    begins = _instant(start) if start else None
    simulator.run(url, key, seed=seed, speed=speed, sensors=sensors, stop=stop, script=script, start=begins)


def _instant(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadParameter("start", text, "a time as 2026-07-01T08:00:00+08:00") from None
    if moment.tzinfo is None:
        raise BadParameter("start", text, "a time with its zone, as 2026-07-01T08:00:00+08:00")
    return moment.timestamp()


def _exists(folder: Path) -> bool:
    return (folder / "city.gpkg").exists() or _store_of(folder) is not None


def _store_of(folder: Path) -> str | None:
    if not (folder / "city.yml").exists():
        return None
    store = settings.load(folder).store
    return store.url if store else None


def _make(name: str, folder: Path, store: str | None) -> None:
    shipped_with = shipped.folder("demo", name)
    if name not in GENERATED and not (shipped_with / "load.yml").is_file():
        raise NotFound(f"no demo city named {name!r}")
    folder.mkdir(parents=True, exist_ok=True)
    # made under another name, so that an interrupted first start begins anew
    part = folder / "loading"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    source = _generated(part / "files") if name in GENERATED else shipped_with
    text = (source / "city.yml").read_text("utf-8") + template.stored(store)
    city_settings = settings.parse(text)
    database = city_settings.database()
    _load(part, database, source / "load.yml", city_settings.time_zone)
    if (part / "rasters").is_dir():
        shutil.rmtree(folder / "rasters", ignore_errors=True)
        (part / "rasters").rename(folder / "rasters")
    (folder / "city.yml").write_text(text, "utf-8")
    if database is None:
        (part / "city.gpkg").rename(folder / "city.gpkg")
    shutil.rmtree(part)


def _generated(files: Path) -> Path:
    from twin.demo.lanjiang import generate

    generate.generate(files, size="S")
    return files


def _load(folder: Path, database: Database | None, manifest: Path, time_zone: str) -> None:
    from layers import load_manifest

    store = open_store(folder, database)
    try:
        reports = load_manifest.run(store, manifest, mode="replace", time_zone=time_zone, city=folder)
        for report in reports:
            verbs.show(report, title=f"{report.layer} ← {report.source}")
    finally:
        store.close()


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
