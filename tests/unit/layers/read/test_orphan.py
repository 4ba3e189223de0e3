"""A loader that is killed takes its readers with it, and so does a killed warm reader."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

CODE = "import sys\nfrom pathlib import Path\nfrom layers import load\nload.check(Path(sys.argv[1]))\n"


def _confined(loader: subprocess.Popen[bytes]) -> psutil.Process:
    """The file's reader once it has set its limits, which it does after binding its life to its parent's."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and loader.poll() is None:
        for reader in psutil.Process(loader.pid).children(recursive=True):
            # one that has ended since is not it
            with suppress(psutil.NoSuchProcess):
                if reader.rlimit(psutil.RLIMIT_CPU)[1] != psutil.RLIM_INFINITY:
                    return reader
    raise AssertionError("the loader started no reader")


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that reads a table for seconds."""
    file = tmp_path / "a.csv"
    file.write_text("lon,lat," + ",".join(f"c{i}" for i in range(100)) + "\n" + ("1," * 101 + "1\n") * 10_000)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    started = subprocess.Popen([sys.executable, "-c", CODE, str(file)], env=environment)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def test_both_readers_die_with_a_killed_loader(loader: subprocess.Popen[bytes]) -> None:
    reader = _confined(loader)
    (warm,) = psutil.Process(loader.pid).children()
    assert reader.parent() == warm
    loader.send_signal(signal.SIGKILL)
    loader.wait()
    gone, alive = psutil.wait_procs([reader, warm], timeout=20)
    assert (len(gone), alive) == (2, [])


def test_a_child_dies_with_a_killed_warm_reader(loader: subprocess.Popen[bytes]) -> None:
    reader = _confined(loader)
    warm = reader.parent()
    assert warm is not None
    warm.kill()
    gone, alive = psutil.wait_procs([reader], timeout=20)
    assert (len(gone), alive) == (1, [])
    assert loader.wait(60) == 0  # it took a new one
