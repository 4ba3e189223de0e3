"""``twin audit``: what is in the chain, a copy of it, and whether it is true."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from rich.table import Table

from layers.audit import chain, verify
from layers.audit.sealing import every
from layers.errors import BadFile, Exists, NotFound, ReadOnly
from layers.model import Link
from layers.store.base import Store
from layers.store.open import open_to_read
from twin.verbs import out


@contextmanager
def _reading(city: Path) -> Iterator[Store]:
    """The store of a city, of which nothing is changed. Raises NotFound: it has no audit."""
    store, _ = open_to_read(city, as_reader=False)  # who may read layers need not see who did what
    try:
        if store.audit.head() is None:
            raise NotFound("this city has no audit: audit.enabled in city.yml begins one")
        yield store
    finally:
        store.close()


def check(file: Path | None, city: Path | None, *, as_json: bool) -> int:
    """Say whether an audit is true; the exit code: 0 where it is, else 1.

    Of a ``file`` of lines (``-``: standard input), of a ``city``, or of a file and whether the city has the
    same chain still. Raises NotFound, BadFile, BadConfig, Unavailable."""
    if file is None:
        assert city is not None
        with _reading(city) as store:
            verdict = verify.city(store)
    else:
        with nullcontext(None) if city is None else _reading(city) as beside:
            verdict = verify.lines(_lines(file), beside)
    if as_json:
        out.print(orjson.dumps(_document(verdict), option=orjson.OPT_INDENT_2).decode(), markup=False)
    else:
        _say(verdict, of_city=file is None)
    return 0 if verdict.fault is None else 1


def _lines(file: Path) -> Iterator[str]:
    try:
        with nullcontext(sys.stdin) if str(file) == "-" else file.open(encoding="utf-8") as text:
            yield from text
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile("audit.file", f"{file.name} cannot be read as lines of JSON in UTF-8") from error


def _document(verdict: verify.Verdict) -> dict[str, Any]:
    members = {name: value for name, value in asdict(verdict).items() if not name.startswith("_")}
    return {"true": verdict.fault is None, **members}


def _say(verdict: verify.Verdict, *, of_city: bool) -> None:
    if verdict.entries:
        which, sets = f"entries {verdict.first} to {verdict.last}", f"{verdict.changes} change sets"
        out.print(f"{which} are true, with {sets}; the last has {verdict.hash}", markup=False)
    elif verdict.fault is None:
        out.print("there is no entry")
    if verdict.first > 1:
        out.print(f"  the one before the first had {verdict.before}", markup=False)
    if of_city and verdict.changes:
        kept = f", of {verdict.not_kept} the history is not kept" if verdict.not_kept else ""
        out.print(f"  what {verdict.compared} of them changed is as it was{kept}")
    if verdict.unsealed:
        out.print(f"  {verdict.unsealed} newer change sets have no entry yet")
    if verdict.fault is not None:
        where = f"entry {verdict.fault.n} " if verdict.fault.n else ""
        out.print(f"NOT TRUE: {where}{verdict.fault.why}", style="bold", markup=False)


def export(city: Path, to: Path | None, first: int, last: int | None) -> None:
    """Write entries as lines to a new file, or to standard output. Raises Exists, ReadOnly, NotFound."""
    with _reading(city) as store:
        found = every(store.audit, first - 1)
        links = itertools.takewhile(lambda link: last is None or link.n <= last, found)
        if to is None:
            sys.stdout.writelines(chain.line(link) for link in links)
            return
        try:
            with to.open("x", encoding="utf-8") as file:
                file.writelines(chain.line(link) for link in links)
        except FileExistsError:
            raise Exists(f"{to.name} is there already") from None
        except OSError as error:
            raise ReadOnly(f"{to.name} cannot be written: {error.strerror}") from error


def show(city: Path, limit: int, *, as_json: bool) -> None:
    """Print the newest entries, the newest last."""
    with _reading(city) as store:
        head = store.audit.head()
        assert head is not None
        links = store.audit.links(head.n - limit, limit)
    if as_json:
        sys.stdout.writelines(chain.line(link) for link in links)
        return
    table = Table("n", "when", "what", "who", "from", "result", "why")
    for link in links:
        table.add_row(*_row(link))
    out.print(table)


def _row(link: Link) -> tuple[str, ...]:
    entry = json.loads(link.entry)
    what = entry["kind"]
    if what == "change":
        of = ", ".join(entry["layers"])
        count = entry["features"]
        some = "" if count is None else f", {count} feature{'' if count == 1 else 's'}"
        what = f"{entry['via']} {of}: change set {entry['set']}{some}"
    elif what == "request" and "method" in entry:
        what = f"{entry['method']} {entry['path']}"
    elif "action" in entry:
        what = " ".join(filter(None, (what, entry.get("name"), entry["action"])))
    result = entry.get("result", "done")
    code = f" {entry['status']}" if entry.get("status") else ""
    who, where = entry.get("actor") or "", entry.get("address") or ""
    return str(link.n), entry["at"], what, who, where, f"{result}{code}", entry.get("message") or ""
