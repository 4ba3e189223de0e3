"""Files kept for whoever reads them part by part."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from layers.errors import TooLarge
from twin.jobs import kept
from twin.jobs.kept import FileCache, Made


class Maker:
    """Makes a file of ten bytes when it is let."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "file"
        self.go = asyncio.Event()
        self.made = 0
        self.fails = 0

    async def __call__(self) -> Made:
        self.made += 1
        await self.go.wait()
        if self.fails:
            self.fails -= 1
            raise TooLarge("no")
        self.path.write_bytes(b"0123456789")
        return self.path.open("rb"), 10


def test_a_file_is_made_once_for_all_who_ask_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        files, make = FileCache(), Maker(tmp_path)

        async def read() -> bytes:
            async with files.of("a", make) as held:
                return held.file.read(10 if held.file.tell() == 0 else 0)

        asking = [asyncio.create_task(read()) for _ in range(5)]
        await asyncio.sleep(0)
        make.go.set()
        assert sorted(await asyncio.gather(*asking))[-1] == b"0123456789"
        assert make.made == 1
        assert "a" in files
        async with files.of("a", make) as one:
            mark = one.mark
        async with files.of("a", make) as again:
            assert again.mark == mark
        files.close()
        assert one.file.closed

    asyncio.run(run())


def test_where_making_fails_the_next_who_waits_tries_anew(tmp_path: Path) -> None:
    async def run() -> None:
        files, make = FileCache(), Maker(tmp_path)
        make.fails = 1

        async def read() -> int:
            async with files.of("a", make) as held:
                return held.size

        asking = [asyncio.create_task(read()) for _ in range(3)]
        await asyncio.sleep(0)
        make.go.set()
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(one) for one in found] == [TooLarge, int, int]
        assert make.made == 2
        files.close()

    asyncio.run(run())


def test_it_is_closed_when_nobody_has_read_it_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "KEPT_SECONDS", 0)

    async def run() -> None:
        files, make = FileCache(), Maker(tmp_path)
        make.go.set()
        async with files.of("a", make) as held:
            files.close()
            assert not held.file.closed  # whoever reads reads on
        assert held.file.closed
        async with files.of("a", make) as held:
            pass
        async with asyncio.timeout(5):
            while not held.file.closed:
                await asyncio.sleep(0)
        assert "a" not in files

    asyncio.run(run())


@pytest.mark.parametrize(("name", "value"), [("MOST_FILES", 2), ("MOST_BYTES", 20)])
def test_the_one_read_longest_ago_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    monkeypatch.setattr(kept, name, value)

    async def run() -> None:
        files, make = FileCache(), Maker(tmp_path)
        make.go.set()
        for key in "abac":
            async with files.of(key, make):
                pass
        assert [key for key in "abc" if key in files] == ["a", "c"]
        files.close()

    asyncio.run(run())
