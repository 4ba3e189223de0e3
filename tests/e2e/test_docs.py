"""The commands of the documentation that ask a server do what they say."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT, Server

ADDRESS = "http://127.0.0.1:8080"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: In the order of the pages: what one block makes, the next may use.
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.S))
    if f"{ADDRESS}/" in block
]
#: A refusal ends the block; programs that a machine may lack are left out.
SHELL = """
set -e
curl() { command curl --fail-with-body -sS "$@"; }
ogrinfo() { :; }
"""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_commands_is_taken(server: Server, block: str, tmp_path: Path):
    etag = server.http.get("/ogc/collections/buildings/items/1").headers["etag"]
    script = SHELL + block.replace(ADDRESS, server.url).replace('"<etag of the feature>"', etag)
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "KEY": server.key},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    for file in tmp_path.iterdir():
        assert file.stat().st_size > 0, file.name


def test_there_are_such_blocks():
    assert len(BLOCKS) >= 5
