"""Where the peers live: an environment of their own, made on demand, outside every requirement of ours."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT

FOLDER = ROOT / ".bench"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PEERS = ("pygeoapi", "tipg")


def python() -> Path:
    """The peers' Python, installed when it is not there or not of these requirements.

    Raises RuntimeError where no installer is found or the packages cannot be had."""
    target = FOLDER / "peers" / "bin" / "python"
    mark = FOLDER / "peers" / ".requirements"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if target.exists() and mark.exists() and mark.read_text() == wanted:
        return target
    FOLDER.mkdir(exist_ok=True)
    shutil.rmtree(FOLDER / "peers", ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(FOLDER / "peers")])
    _run([*_installer(target), "-q", "--require-hashes", "-r", str(REQUIREMENTS)])
    mark.write_text(wanted)
    return target


def command(name: str, database: str, *tables: str) -> list[str]:
    """How to serve the tables of a database with a peer; run it in the root of the project."""
    if name not in PEERS:
        raise ValueError(f"no peer {name}; there are {', '.join(PEERS)}")
    return [str(python()), "-m", "tests.bench.peers.serve", name, database, *tables]


def _installer(target: Path) -> list[str]:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    return [uv, "pip", "install", "--python", str(target)] if uv else [str(target), "-m", "pip", "install"]


def _run(arguments: list[str]) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"the peers cannot be installed: {done.stderr[-500:]}")
