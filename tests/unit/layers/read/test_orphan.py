"""A loader that is killed takes its reader with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil


def _confined(loader: subprocess.Popen[bytes]) -> psutil.Process:
    """The loader's reader once it has set its limits, which it does after binding its life to ours."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and loader.poll() is None:
        for reader in psutil.Process(loader.pid).children():
            if reader.rlimit(psutil.RLIMIT_CPU)[1] != psutil.RLIM_INFINITY:
                return reader
    raise AssertionError("the loader started no reader")


def test_the_child_dies_with_a_killed_loader(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("lon,lat," + ",".join(f"c{i}" for i in range(100)) + "\n" + ("1," * 101 + "1\n") * 50_000)
    code = "import sys\nfrom pathlib import Path\nfrom layers import load\nload.check(Path(sys.argv[1]))\n"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    loader = subprocess.Popen([sys.executable, "-c", code, str(file)], env=environment)
    try:
        reader = _confined(loader)
        loader.send_signal(signal.SIGKILL)
        loader.wait()
        gone, alive = psutil.wait_procs([reader], timeout=20)
        assert (len(gone), alive) == (1, [])
    finally:
        loader.kill()
        loader.wait()
