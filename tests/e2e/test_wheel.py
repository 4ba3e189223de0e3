"""The wheel: installed into a clean environment without Node, the demo runs and the page answers."""

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.support import ROOT, until


def _uv() -> str:
    found = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    if not Path(found).exists():
        pytest.skip("uv is absent: run through make test, which brings it")
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / "twin" / "web" / "static" / "index.html").is_file():
        pytest.fail("the page is not built: run make env")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return next(folder.glob("onemap_twin-*.whl"))


def test_the_wheel_holds_the_page_the_demo_and_no_sources_of_the_page(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "twin/web/static/index.html" in names
    assert any("/Workers/" in name for name in names)
    assert "layers/config/demo/helsinki/load.yml" in names
    assert any("NOTICE" in name for name in names if name.startswith("layers/config/demo/helsinki/"))
    assert not any(name.startswith(("twin/web/app/", "tests/")) for name in names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"twin", "tiles", "layers"}


@pytest.mark.timeout(300)
def test_the_demo_runs_from_a_clean_environment_without_node(wheel, tmp_path):
    uv, env = _uv(), tmp_path / "env"
    python = str(env / "bin" / "python")
    quiet = {"check": True, "capture_output": True, "timeout": 240}
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(env)], **quiet)
    pinned = str(ROOT / "requirements.txt")
    subprocess.run(
        [uv, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", pinned], **quiet
    )
    subprocess.run([uv, "pip", "install", "-q", "--python", python, "--no-deps", str(wheel)], **quiet)
    bare = {"PATH": f"{env / 'bin'}:/usr/sbin:/sbin", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    assert shutil.which("node", path=bare["PATH"]) is None
    with (tmp_path / "out").open("w+b") as said:
        process = subprocess.Popen(
            [str(env / "bin" / "twin"), "demo", "--port", "0", "--dir", str(tmp_path / "city")],
            cwd=tmp_path,
            env={**os.environ, **bare},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            text = until(lambda: _address(tmp_path / "out", process), seconds=120, what="the address")
            assert isinstance(text, str)
            page = httpx.get(text + "/")
            assert page.status_code == 200
            assert "<script" in page.text
            assert httpx.get(text + "/config.json").json()["title"]["en"] == "Central Helsinki"
            assert httpx.get(text + "/ogc/collections/buildings/items").json()["numberMatched"] == 446
            until(
                lambda: (
                    len(httpx.get(text + "/sta/v1.1/Things", params={"$top": "100"}).json()["value"]) >= 60
                ),
                seconds=60,
                what="the simulator's sensors",
            )
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def _address(file: Path, process: subprocess.Popen[bytes]) -> str | None:
    text = file.read_text("utf-8", "replace")
    if process.poll() is not None:
        raise AssertionError(f"twin demo exited {process.returncode}:\n{text}")
    for word in text.split():
        if word.startswith("http://127.0.0.1:") and "/#key=" in word:
            return word.split("/#key=")[0]
    return None
