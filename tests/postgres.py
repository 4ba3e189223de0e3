"""A private PostgreSQL cluster with PostGIS: initdb in a temporary folder, a free port, nothing shared."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.templates import made_once

TEMPLATE = "twin_template"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "100",
    "fsync": "off",  # the machine's crash is not what is tested; a killed server loses nothing by it
    "full_page_writes": "off",
    "max_wal_size": "256MB",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_min_messages": "warning",
}


def binaries() -> Path | None:
    """The folder of the newest server's programs; None where PostgreSQL or PostGIS is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[4]))
    if found:
        bin_ = found[-1].parent
        share = Path("/usr/share/postgresql") / bin_.parts[4]
        return bin_ if (share / "extension" / "postgis.control").exists() else None
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


@dataclass
class Cluster:
    """A running cluster; ``database()`` makes one more empty database with PostGIS in it."""

    folder: Path
    bin: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _passing: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, bin_: Path) -> Cluster:
        """A copy of an empty cluster that has a template with PostGIS, started."""
        made = made_once("postgres", [bin_ / "postgres"], lambda folder: _initialise(folder, bin_))
        cluster = cls(_folder(), bin_, free_port())
        _run(["cp", "-a", made / "data", cluster.folder / "data"])
        cluster.up()
        return cluster

    def copy(self) -> Cluster:
        """A running standby that follows this server."""
        folder = _folder()
        _run(
            [
                self.bin / "pg_basebackup",
                "-D",
                folder / "data",
                "-R",
                "-c",
                "fast",
                "-d",
                self.url("postgres"),
            ]
        )
        made = Cluster(folder, self.bin, free_port())
        made.up()
        return made

    def up(self) -> None:
        """Start the server (again) and wait until it answers."""
        options = {
            **_SETTINGS,
            **_preloaded(self.bin),
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        arguments = [str(self.bin / "postgres"), "-D", str(self.folder / "data")]
        for name, value in options.items():
            arguments += ["-c", f"{name}={value}"]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            arguments, stdout=log, stderr=log, **_as_user(), start_new_session=True
        )
        log.close()
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(psycopg.OperationalError), self.connect("postgres"):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL did not start:\n" + (self.folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def dump(self, url: str, file: Path, table: str | None = None) -> None:
        """Write a database, or a table of it with its triggers, to a file."""
        only = [] if table is None else ["-t", table]
        file.write_bytes(_run([self.bin / "pg_dump", "-Fc", *only, url]))

    def restored(self, file: Path, *, lasting: bool = False) -> str:
        """The URL of a new database with what such a file holds."""
        url = self.database(lasting=lasting)
        with self.connect(url.rsplit("/", 1)[1]) as con:
            con.execute("DROP EXTENSION postgis")
        self.restore(url, file)
        return url

    def restore(self, url: str, file: Path) -> None:
        """Put what such a file holds into a database that is there."""
        _run([self.bin / "pg_restore", "-d", url], file.read_bytes())

    def down(self, *, crash: bool = False) -> None:
        """Stop the server: fast, or as a crash (every connection is cut at once)."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
            self.process.wait(30)
            self.process = None

    def freeze(self, frozen: bool) -> None:
        """SIGSTOP or SIGCONT every process of the server: it is there and does not answer."""
        import psutil

        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        for one in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def close(self) -> None:
        """Stop and remove."""
        self.down(crash=True)  # nothing of it is kept; a checkpoint of its hundred databases lasts a minute
        # nobody waits until the hundred thousand files of a long run are gone
        subprocess.run(["sh", "-c", 'rm -rf -- "$1" > /dev/null 2>&1 &', "sh", self.folder], check=True)

    def url(self, database: str, user: str = "twin") -> str:
        """The address of a database over TCP."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def database(self, *, lasting: bool = False, script: Path | None = None) -> str:
        """A new database with PostGIS, empty or as a script of SQL makes it; its URL. :meth:`drop` takes it,
        if it is not lasting."""
        url = self.copied(TEMPLATE, f"city{next(self._numbers)}", lasting=lasting)
        if script is not None:
            with psycopg.connect(url, autocommit=True) as con:
                con.execute(script.read_bytes())
        return url

    def copied(self, name: str, copy: str, *, lasting: bool = False) -> str:
        """The URL of a new database that is a copy of another one."""
        with self.connect("postgres") as con:
            # its files as they are: a third of the work of logging each page; before 15 there is no other way
            strategy = "STRATEGY file_copy" if con.info.server_version >= 150_000 else ""
            con.execute(f"CREATE DATABASE {copy} TEMPLATE {name} {strategy}")
        if not lasting:
            self._passing.append(copy)
        return self.url(copy)

    def drop(self) -> None:
        """Drop the databases that do not last: each has 16 MB in a thousand files."""
        with self.connect("postgres") as con:
            while self._passing:
                con.execute(f"DROP DATABASE IF EXISTS {self._passing.pop()} WITH (FORCE)")

    def connect(self, database: str, user: str = "twin") -> psycopg.Connection[tuple[object, ...]]:
        """A connection that commits each statement."""
        return psycopg.connect(self.url(database, user), autocommit=True, connect_timeout=5)


@contextlib.contextmanager
def private() -> Iterator[Cluster]:
    """A cluster of the caller's own, removed at the end even when it is frozen; skips without PostgreSQL."""
    tools = binaries()
    if tools is None:
        pytest.skip("PostgreSQL with PostGIS is not installed (make deps)")
    cluster = Cluster.start(tools)
    try:
        yield cluster
    finally:
        if cluster.process is not None:
            cluster.freeze(False)
        cluster.close()


def _preloaded(bin_: Path) -> dict[str, str]:
    """Load PostGIS and its libraries once, where they are found, not in each connection: half of what one
    costs."""
    found = sorted((bin_.parent / "lib").glob("postgis-[0-9].so"))
    return {"shared_preload_libraries": found[-1].stem} if found else {}


def _user() -> str:
    """The server refuses to run as root."""
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"


def _as_user() -> dict[str, object]:
    return {"user": _user(), "group": pwd.getpwnam(_user()).pw_gid} if os.getuid() == 0 else {}


def _run(command: list[object], given: bytes | None = None) -> bytes:
    done = subprocess.run([str(c) for c in command], capture_output=True, input=given, **_as_user())
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr.decode()}")
    return done.stdout


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="twin-pg-"))
    if os.getuid() == 0:
        shutil.chown(folder, _user())
    return folder


def _initialise(folder: Path, bin_: Path) -> None:
    """Make the data of an empty cluster that has a template with PostGIS, in ``folder/data``."""
    if os.getuid() == 0:
        shutil.chown(folder, _user())
    data = folder / "data"
    _run([bin_ / "initdb", "-D", data, "-U", "twin", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"])
    cluster = Cluster(folder, bin_, free_port())
    cluster.up()
    with cluster.connect("postgres") as con:
        con.execute(f"CREATE DATABASE {TEMPLATE}")
    with cluster.connect(TEMPLATE) as con:
        con.execute("CREATE EXTENSION postgis")
    cluster.down()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
