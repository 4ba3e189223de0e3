"""The warm reader: one a process, however often, in whatever threads and forks, and gone with its owner."""

from __future__ import annotations

import json
import multiprocessing
import os
import pwd
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from layers import guard
from layers.errors import BadFile
from layers.guard import ReadLimits
from layers.read import warm


def _file(folder: Path, count: int = 3) -> Path:
    if count % 2 == 0:
        file = folder / f"{count}.csv"
        file.write_text("n,lon,lat\n" + "".join(f"{i},{i},{i}\n" for i in range(count)))
        return file
    features = [
        {"type": "Feature", "properties": {"n": i}, "geometry": {"type": "Point", "coordinates": [i, i]}}
        for i in range(count)
    ]
    file = folder / f"{count}.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return file


def _slow(folder: Path) -> Path:
    """A table that takes seconds."""
    file = folder / "slow.csv"
    file.write_text(
        ",".join(f"c{i}" for i in range(198)) + ",lon,lat\n" + (",".join("1" * 200) + "\n") * 50_000
    )
    return file


def _rows(file: Path) -> int:
    with guard.read(file) as reading:
        return sum(len(batch) for batch in reading.batches())


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[warm.WarmReader]:
    """A warm reader of the test's own."""
    own = warm.WarmReader(warm.environment())
    monkeypatch.setattr(warm, "READER", own)
    yield own
    own.close()


def _process(reader: warm.WarmReader) -> psutil.Process:
    assert reader._process is not None
    return psutil.Process(reader._process.pid)


def test_two_hundred_files_in_a_row_are_read_by_one_process(tmp_path: Path, reader: warm.WarmReader) -> None:
    files = [_file(tmp_path, n) for n in range(1, 21)]
    assert _rows(files[0]) == 1
    process = _process(reader)
    ours, theirs = psutil.Process().num_fds(), process.num_fds()
    for _ in range(10):
        assert [_rows(f) for f in files] == list(range(1, 21))
    assert _process(reader) == process
    assert (process.num_fds(), psutil.Process().num_fds()) == (theirs, ours)
    assert process.children() == []
    assert process.num_threads() == 1
    # libraries that no format asks for, though they are installed here
    assert not any("pandas" in part.path for part in process.memory_maps())


def test_threads_share_it_good_files_and_hostile_ones(tmp_path: Path, reader: warm.WarmReader) -> None:
    good = [_file(tmp_path, n) for n in range(1, 9)]
    cut = tmp_path / "cut.geojson"
    cut.write_bytes(good[0].read_bytes()[:-4])
    slow = _slow(tmp_path)

    def one(number: int) -> object:
        if number % 8 == 6:
            with pytest.raises(BadFile) as caught:
                _rows(cut)
            return caught.value.rule
        if number % 32 == 7:
            with pytest.raises(BadFile) as caught, guard.read(slow, limits=ReadLimits(seconds=1)):
                pass
            return caught.value.rule
        return _rows(good[number % 8])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(64)))
    expected = [
        "json.truncated" if n % 8 == 6 else "limit.time" if n % 32 == 7 else n % 8 + 1 for n in range(64)
    ]
    assert found == expected
    assert _process(reader).children() == []
    assert reader._waiting == set()


def test_one_that_was_killed_while_idle_is_replaced(tmp_path: Path, reader: warm.WarmReader) -> None:
    file = _file(tmp_path)
    assert _rows(file) == 3
    first = _process(reader)
    first.kill()
    assert _rows(file) == 3
    assert _process(reader) != first
    assert not first.is_running()


def test_one_that_is_killed_while_it_reads_is_replaced_unseen(
    tmp_path: Path, reader: warm.WarmReader
) -> None:
    file = tmp_path / "some.csv"
    file.write_text("lon,lat,name\n" + "1,2,a\n" * 20_000)
    _rows(_file(tmp_path))
    for _ in range(4):
        process = _process(reader)
        with ThreadPoolExecutor(3) as pool:
            found = [pool.submit(_rows, file) for _ in range(3)]
            while not process.children():
                assert not all(each.done() for each in found)
            process.kill()
            assert [each.result() for each in found] == [20_000] * 3


def test_a_wait_that_is_broken_off_ends_the_child(tmp_path: Path, reader: warm.WarmReader) -> None:
    _rows(_file(tmp_path))
    process, slow = _process(reader), _slow(tmp_path)

    def interrupt() -> None:
        while not process.children():
            pass
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        _rows(slow)
    thread.join()
    assert process.children() == []


def _in_fork(file: Path, owner: int) -> None:
    assert os.getpid() != owner
    assert _rows(file) == 3
    assert warm.READER._process is not None
    assert psutil.Process(warm.READER._process.pid).ppid() == os.getpid()
    warm.READER.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_of_the_owner_starts_its_own(tmp_path: Path) -> None:
    file = _file(tmp_path)
    assert _rows(file) == 3
    context = multiprocessing.get_context("fork")
    fork = context.Process(target=_in_fork, args=(file, os.getpid()))
    fork.start()
    fork.join(60)
    assert fork.exitcode == 0
    assert _rows(file) == 3


def test_the_owner_leaves_nothing_when_it_ends(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom layers import guard\nfrom layers.read import warm\n"
        "with guard.read(Path(sys.argv[1])) as reading:\n    print(warm.READER._process.pid)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(_file(tmp_path))],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stderr == ""
    assert not psutil.pid_exists(int(run.stdout))
    assert [p.name for p in tmp_path.iterdir()] == ["3.geojson"]


def test_a_file_costs_little_more_than_its_own_reading(tmp_path: Path, reader: warm.WarmReader) -> None:
    file = _file(tmp_path)
    _rows(file)
    process = _process(reader)

    def spent() -> float:
        own, theirs = psutil.Process().cpu_times(), process.cpu_times()
        return own.user + own.system + sum(theirs[:4])

    before = spent()
    for _ in range(20):
        _rows(file)
    assert (spent() - before) / 20 < 0.2


def test_a_child_of_an_ordinary_user_is_as_confined(tmp_path: Path) -> None:
    """Forked from a process with all libraries loaded: ceilings, no network, dies with its parent."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; an ordinary one runs every other test so")
    nobody = pwd.getpwnam("nobody")
    code = (
        "import os, resource, signal, sys\nimport layers.read.__main__\nfrom layers.read import child\n"
        "os.setgroups([])\nos.setgid(int(sys.argv[2]))\nos.setuid(int(sys.argv[1]))\n"
        "net = os.readlink('/proc/self/ns/net')\nend, held = os.pipe()\nup, told = os.pipe()\n"
        "middle = os.fork()\n"
        "if middle == 0:\n"
        "    leaf = os.fork()\n"
        "    if leaf == 0:\n"
        "        child.confine(3 << 30, 20, 1 << 20)\n"
        "        apart = os.readlink('/proc/self/ns/net') != net\n"
        "        print(os.geteuid() != 0, apart, resource.getrlimit(resource.RLIMIT_AS)[0], flush=True)\n"
        "        os.write(told, b'x')\n        signal.pause()\n"
        "    signal.pause()\n"
        "os.close(held)\nos.close(told)\nos.read(up, 1)\nos.kill(middle, signal.SIGKILL)\n"
        "os.waitpid(middle, 0)\nprint(os.read(end, 1))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(nobody.pw_uid), str(nobody.pw_gid)],
        env=warm.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    confined, end = run.stdout.splitlines()
    assert end == "b''"  # the pipe closed: the leaf went with its parent
    if "False" in confined:
        pytest.skip("this kernel gives no network namespace to this user")
    assert confined == f"True True {3 << 30}"
