"""What the suites share: the command line, the real server process, polling with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

from layers import strict
from tests import launcher
from twin.settings import CitySettings

ROOT = Path(__file__).resolve().parent.parent
HELSINKI = ROOT / "config" / "demo" / "helsinki"
READY_SECONDS = 60
#: A prefix of a server's start: as a user starts it, with nothing imported yet.
COLD = ("env",)


def setting_paths(path: tuple[str | int, ...] = ()) -> list[str]:
    """The path of every setting of city.yml; ``ID`` stands for any layer, 0 for any member of a list."""
    found = []
    for key in strict.keys(CitySettings, path):
        here = (*path, key)
        found.append(".".join(map(str, here)))
        found += [*setting_paths(here), *setting_paths((*here, "ID")), *setting_paths((*here, 0))]
    return found


def copy_city(source: Path, target: Path) -> Path:
    """A copy of a city folder that no process has open."""
    shutil.copytree(source, target)
    return target


def city_at(folder: Path, url: str, more: str = "") -> Path:
    """A city folder whose features lie in that database."""
    folder.mkdir(parents=True)
    text = (HELSINKI / "city.yml").read_text("utf-8")
    (folder / "city.yml").write_text(f"{text}\nstore: {url}\n{more}", "utf-8")
    return folder


def init(folder: Path, database: str | None = None) -> Path:
    """An empty city by ``twin init``, with its features in a database where one is given."""
    twin("init", str(folder), *(("--store", database) if database else ()))
    return folder


def twin(*arguments: str, check: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one verb of the command line, in a process of its own."""
    process = launcher.start(arguments, cwd or ROOT)
    out, err = process.communicate(timeout=150)
    done = subprocess.CompletedProcess(["twin", *arguments], process.wait(), out, err)
    if check and done.returncode != 0:
        raise AssertionError(
            f"twin {' '.join(arguments)} exited {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done


@contextlib.contextmanager
def event_loop() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """A loop that runs as a server's does, in a thread: it gives a call that waits for a coroutine in it."""
    loops: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = queue.SimpleQueue()

    async def main() -> None:
        over = asyncio.Event()
        loops.put((asyncio.get_running_loop(), over))
        await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    loop, over = loops.get()
    try:
        yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result()
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """No byte more is written to a file while this lasts, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def until(condition: Callable[[], object], seconds: float = 10.0, what: str = "the condition") -> object:
    """Poll until the condition gives something true; its value. AssertionError at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


@dataclass
class Server:
    """A real ``twin serve`` process on a free port."""

    folder: Path
    url: str
    process: launcher.Process | subprocess.Popen[str]
    key: str
    clean: bool = True
    log: list[str] = field(default_factory=list)
    _http: httpx.Client | None = None

    @classmethod
    def start(cls, folder: Path, *options: str, clean: bool = True, prefix: tuple[str, ...] = ()) -> Server:
        """Start it and wait for the line that tells its address.

        ``prefix`` is a command before it."""
        key = fresh_key(folder)
        arguments = ["serve", "--city", str(folder), "--port", "0", *options]
        process = _cold(prefix, arguments) if prefix else launcher.start(arguments)
        lines: queue.Queue[str] = queue.Queue()
        log: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        threading.Thread(target=_first, args=(process.stdout, lines.put), daemon=True).start()
        threading.Thread(target=_pump, args=(process.stderr, log.append), daemon=True).start()
        try:
            line = lines.get(timeout=READY_SECONDS)
        except queue.Empty:
            process.kill()
            raise AssertionError("the server did not get ready:\n" + "".join(log)) from None
        if not line:
            process.wait(10)
            time.sleep(0.1)
            raise AssertionError(f"the server exited {process.returncode}:\n" + "".join(log))
        return cls(folder, line.split(" at ")[1].strip().rstrip("/"), process, key, clean, log)

    @property
    def http(self) -> httpx.Client:
        """A client with this server as its base."""
        if self._http is None:
            # the server closes what is idle for 5 s; a request must not meet that
            self._http = httpx.Client(base_url=self.url, timeout=30, limits=httpx.Limits(keepalive_expiry=3))
        return self._http

    @property
    def auth(self) -> dict[str, str]:
        """The headers that carry the key."""
        return {"authorization": f"Bearer {self.key}"}

    def kill(self) -> None:
        """kill -9."""
        self.clean = False
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """SIGTERM, then judge the exit code and the log."""
        if self._http is not None:
            self._http.close()
            self._http = None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise AssertionError("the server did not stop within 15 s of SIGTERM") from None
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()
        if self.clean:
            assert self.process.returncode in (0, -signal.SIGTERM), f"exit code {self.process.returncode}"
            assert self.log == [], "the log is not clean:\n" + "".join(self.log)
            self.clean = False


def _cold(prefix: tuple[str, ...], arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "twin", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def _pump(pipe: IO[str], put: Callable[[str], None]) -> None:
    with contextlib.suppress(ValueError, OSError):
        for line in pipe:
            put(line)


def _first(pipe: IO[str], put: Callable[[str], None]) -> None:
    """Pump, then an empty line: whoever waits for the first one learns that none comes."""
    _pump(pipe, put)
    put("")


def fresh_key(folder: Path, name: str = "test") -> str:
    """A key of the city for tests; an existing one of that name is replaced. '' when read-only."""
    from layers.errors import ReadOnly
    from twin.access.keys import Keys

    keys = Keys(folder)
    try:
        if name in keys.names():
            keys.remove(name)
        return keys.add(name)
    except ReadOnly:
        return ""
