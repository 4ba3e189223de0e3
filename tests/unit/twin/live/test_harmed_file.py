"""live.gpkg emptied, cut, altered, replaced or deleted, at rest and while it is written: what was
acknowledged is in the file that is read after the next start."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from layers.errors import Unavailable
from layers.observations import rescue
from layers.observations.livefile import LiveFile
from layers.observations.series import Observation
from tests.support import until
from tests.unit.twin.live.rooms import Room, thing
from twin.live.ingest import Ingest

type Harm = Callable[[Path], Any]


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 - 100])


def headless(path: Path) -> None:
    with path.open("r+b") as opened:
        opened.write(bytes(200))


def flipped(path: Path) -> None:
    """Every third page of the last rows."""
    raw = bytearray(path.read_bytes())
    for at in range(4096 * 50, len(raw), 4096 * 3):
        raw[at : at + 8] = b"\xa5" * 8
    path.write_bytes(bytes(raw))


def another(path: Path) -> None:
    """A GeoPackage of something else."""
    path.unlink()
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE gpkg_contents (x)")
    conn.close()


def deleted(path: Path) -> None:
    path.unlink()


AT_REST: tuple[Harm, ...] = (emptied, truncated, headless, flipped, another, deleted)


def observed(file: LiveFile) -> list[int]:
    with file.reading() as conn:
        return [t for (t,) in conn.execute("SELECT t FROM observation ORDER BY t")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A closed file of 2 000 observations."""
    file = LiveFile(tmp_path)
    writer = Ingest(file, lambda ds, value, raised: raised, lambda moved: lambda: None)
    writer.start()
    rows = [Observation(i % 7, i, float(i), extra="x" * 40) for i in range(2000)]
    writer.submit(lambda tx: tx.append(rows), len(rows)).result(5)
    writer.stop()
    file.close()
    return tmp_path


@pytest.mark.parametrize("harm", AT_REST)
def test_a_file_harmed_at_rest_is_kept_and_live_data_goes_on(
    folder: Path, harm: Harm, caplog: pytest.LogCaptureFixture
) -> None:
    before = (folder / "live.gpkg").read_bytes()
    harm(folder / "live.gpkg")
    harmed = (folder / "live.gpkg").read_bytes() if harm is not deleted else None
    file = LiveFile(folder)
    assert file.notice is not None
    assert caplog.messages == [file.notice]
    kept = [path.read_bytes() for path in folder.glob("live.gpkg.damaged-*[Z]")]
    assert kept == ([] if harmed is None else [harmed])
    found = set(observed(file))
    assert found <= set(range(2000))
    # a file whose first page is whole gives what the others hold
    assert len(found) > 100 or harm not in (truncated, flipped)
    file.close()
    again = LiveFile(folder)
    assert again.notice is None
    assert set(observed(again)) == found
    again.close()
    assert before


def test_a_file_that_is_whole_is_left_alone(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = LiveFile(folder)
    epoch = file.epoch
    file.close()
    again = LiveFile(folder)
    assert (again.notice, again.epoch, len(observed(again))) == (None, epoch, 2000)
    again.close()
    assert not caplog.messages


def test_the_log_of_a_file_that_was_put_back_at_rest_is_not_merged_into_it(folder: Path) -> None:
    backup = shutil.copy(folder / "live.gpkg", folder.with_name(f"{folder.name}-backup"))
    file = LiveFile(folder)
    file.writer().execute("INSERT INTO observation VALUES (1, 9999, 0, 9999, 0, 0, 1, NULL, NULL, NULL)")
    killed = as_killed(folder)
    file.close()
    shutil.copy(backup, killed / "live.gpkg")
    restored = LiveFile(killed)
    assert 9999 not in observed(restored)
    assert restored.notice is not None
    assert list(killed.glob("live.gpkg-wal.foreign-*"))
    restored.close()


def test_a_killed_server_and_a_copy_of_its_folder_lose_nothing(folder: Path) -> None:
    file = LiveFile(folder)
    file.writer().execute("INSERT INTO observation VALUES (1, 9999, 0, 9999, 0, 0, 1, NULL, NULL, NULL)")
    killed = as_killed(folder)
    file.close()
    again = LiveFile(killed)
    assert 9999 in observed(again)
    assert again.notice is None
    again.close()


def as_killed(folder: Path) -> Path:
    """A copy of the folder as kill -9 leaves it: the copy of the log has the number in the mark."""
    killed = folder.with_name(f"{folder.name}-killed")
    shutil.copytree(folder, killed)
    mark = killed / "derived" / "live.mark"
    kept = json.loads(mark.read_text())
    mark.write_text(json.dumps(kept | {"log": (killed / "live.gpkg-wal").stat().st_ino}))
    return killed


def replaced(path: Path, backup: Path) -> None:
    """By a file of its own, as ``mv`` and most restores do."""
    other = path.with_suffix(".new")
    shutil.copy(backup, other)
    other.replace(path)


def overwritten(path: Path, backup: Path) -> None:
    """In place, as ``cp`` does."""
    with path.open("r+b") as opened:
        opened.truncate(0)
        opened.write(backup.read_bytes())


def gone(path: Path, backup: Path) -> None:
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)


WHILE_OPEN = {
    "replaced": replaced,
    "written over": overwritten,
    "deleted": lambda path, backup: path.unlink(),
    "deleted with its log": gone,
    "emptied": lambda path, backup: path.open("r+b").truncate(0),
    "cut": lambda path, backup: path.open("r+b").truncate(5000),
    "no header": lambda path, backup: headless(path),
}


@pytest.fixture
def writer(folder: Path) -> Iterator[tuple[LiveFile, Ingest]]:
    file = LiveFile(folder)
    made = Ingest(file, lambda ds, value, raised: raised, lambda moved: lambda: None)
    made.start()
    yield file, made
    made.stop()
    file.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("harm", WHILE_OPEN)
def test_nothing_is_acknowledged_that_the_next_start_does_not_find(
    folder: Path, writer: tuple[LiveFile, Ingest], harm: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file, ingest = writer
    path = folder / "live.gpkg"
    backup = tmp_path_factory.mktemp("backup") / "live.gpkg"
    shutil.copy(path, backup)
    file.fold(100_000)

    def put(t: int) -> bool:
        try:
            ingest.submit(lambda tx: tx.append([Observation(3, t, 1.0)])).result(10)
        except Unavailable:
            return False
        return True

    kept_before = [t for t in range(10_000, 10_010) if put(t)]
    WHILE_OPEN[harm](path, backup)
    assert len(observed_or_none(file)) in (0, 2010, 2000)
    kept = [t for t in range(20_000, 20_020) if put(t)]
    assert len(kept) >= 19
    assert file.notice is not None
    ingest.stop()
    file.close()
    again = LiveFile(folder)
    assert set(kept) <= set(observed(again))
    if harm.startswith("deleted"):
        assert set(kept_before) <= set(observed(again))
        assert len(observed(again)) == 2000 + len(kept_before) + len(kept)
    if harm == "written over":
        assert not set(kept_before) & set(observed(again))
    if harm == "replaced":
        (rescued,) = folder.glob("live.gpkg.replaced-*Z")
        with sqlite3.connect(rescued) as conn:
            assert conn.execute("SELECT count(*) FROM observation").fetchone() == (2010,)
        conn.close()
        assert not set(kept_before) & set(observed(again))
    assert rescue.damage(again.writer(), path.stat().st_size) is None
    again.close()


def observed_or_none(file: LiveFile) -> list[int]:
    """What a reader gets meanwhile: the rows, or that it cannot be read."""
    try:
        return observed(file)
    except Unavailable:
        return []


def test_a_group_that_was_committed_into_a_file_that_had_gone_is_not_acknowledged(
    folder: Path, writer: tuple[LiveFile, Ingest]
) -> None:
    _, ingest = writer

    def between(tx: Any) -> list[int]:
        (folder / "live.gpkg").unlink()
        return list(tx.append([Observation(3, 30_000, 1.0)]))

    with pytest.raises(Unavailable):
        ingest.submit(between).result(10)
    assert ingest.submit(lambda tx: tx.append([Observation(3, 30_001, 1.0)])).result(10)


def test_another_program_that_folds_the_log_disturbs_nothing(
    folder: Path, writer: tuple[LiveFile, Ingest], caplog: pytest.LogCaptureFixture
) -> None:
    file, ingest = writer
    epoch = file.epoch
    ingest.submit(lambda tx: tx.append([Observation(3, 30_000, 1.0)])).result(10)
    other = sqlite3.connect(folder / "live.gpkg")
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    assert ingest.submit(lambda tx: tx.append([Observation(3, 30_001, 1.0)])).result(10)
    assert (file.notice, file.epoch, len(observed(file))) == (None, epoch, 2002)
    assert not caplog.messages


def test_open_pages_begin_anew_and_what_was_there_is_there_again(room: Room) -> None:
    auth = {"authorization": f"Bearer {room.key}"}

    async def scenario(client: Any) -> None:
        assert (await client.post("/sta/v1.1/Things", json=thing())).status_code == 201
        report = await client.post("/incidents", json={"title": "burst"}, headers=auth)
        assert report.status_code == 201
        told, whole = room.bus.subscribe()
        assert not whole
        (room.folder / "live.gpkg").unlink()
        room.live.ingest.look()
        until(lambda: room.live.file.notice)
        found = (await client.get("/incidents")).json()
        assert [one["title"] for one in found["incidents"]] == ["burst"]
        tagged = await client.get("/incidents/1")
        assert tagged.headers["etag"] == report.headers["etag"]
        again = await client.post("/incidents", json={"title": "second"})
        assert again.json()["id"] == 2
        assert told.lost

    room.run(scenario)
    assert list(room.live.streams) == [1]


def test_rows_that_another_program_spoilt_are_told_not_a_fault(room: Room) -> None:
    async def scenario(client: Any) -> None:
        for title in ("good", "bad"):
            assert (await client.post("/incidents", json={"title": title})).status_code == 201
        other = sqlite3.connect(room.folder / "live.gpkg")
        with other:
            other.execute("UPDATE incident SET reported='x', status='no such' WHERE id=2")
        other.close()
        listed = await client.get("/incidents")
        assert [one["title"] for one in listed.json()["incidents"]] == ["good"]
        assert (await client.get("/incidents/2")).status_code == 503
        assert "incident 2" in (await client.get("/incidents/2")).json()["detail"]
        moved = await client.post("/incidents/2/actions", json={"action": "accept"})
        assert moved.status_code == 503

    room.run(scenario)


def test_a_datastream_that_another_program_spoilt_leaves_the_others(room: Room) -> None:
    async def scenario(client: Any) -> None:
        for name in ("one", "two"):
            assert (await client.post("/sta/v1.1/Things", json=thing(name))).status_code == 201

    room.run(scenario)
    other = sqlite3.connect(room.folder / "live.gpkg")
    with other:
        other.execute("UPDATE datastream SET unitOfMeasurement='{' WHERE id=1")
    other.close()
    again = Room(room.folder)
    assert list(again.live.streams) == [2]
    again.close()
