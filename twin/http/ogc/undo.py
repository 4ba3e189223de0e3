"""``POST /ogc/undo``: take back a change set, what a person did, what was done in an area, or what became of
a feature; shown first (``dryRun``), then done as new edits in one transaction.

Plans are made as other long reads are, and done one at a time beside the transactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from layers.model import Author
from layers.undo import UndoPlan, refusal
from twin import undo_documents
from twin.access import caller
from twin.access.caller import CALLER
from twin.http import answers, respond
from twin.http.author import PARAMETER, author
from twin.http.context import Context, Link, link
from twin.http.errors import UndoRefused
from twin.http.formats import JSON
from twin.http.ogc.undo_request import MEMBERS, Request, read
from twin.http.openapi_parts import TEXT, array_of, object_of, ok, reference, write
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Room, Route, Site, never

if TYPE_CHECKING:
    from twin.catalogue.view import View

PATH = "/ogc/undo"
MAX_BODY = 65_536
#: Steps of a plan, and conflicts, that are told; all are counted.
MOST_TOLD = 1_000


def room(site: Site) -> Room:
    """The route of undo."""
    city = site.city

    async def post(scope: Scope, receive: Receive, send: Send) -> None:
        caller.require(scope, "edit")
        respond.query_map(scope, ())
        asked = read(await respond.json_body(scope, receive, MAX_BODY, JSON))
        view, root = city.catalogue.of(scope[CALLER]), respond.base_url(city, scope)
        gone = partial(respond.gone, receive)
        plan = await city.read(_plan, view, asked, heavy=True, gone=gone)
        if asked.dry_run:
            result = undo_documents.plan(plan, MOST_TOLD) | {"links": _links(root, plan)}
        else:
            result = await city.write_alone(_undo, view, plan, asked, author(city, scope, asked.message))
            if result["set"] is not None:
                result["links"] = [changes_of(root, result["set"])]
        await answers.give_json(scope, send, result, [answers.UNKEPT])

    return Room(
        "undo",
        ("Undo: take back what was done", "撤销：恢复先前的内容"),
        (Route(PATH, {"POST": post}, _describe, takes={"POST": JSON}, told=never),),
        schemas=_schemas,
    )


def _plan(view: View, asked: Request) -> UndoPlan:
    """Raises BadBody, BadParameter, NotFound, NotAllowed, Conflict, Gone, TooLarge."""
    return asked.plan(view)


def _undo(view: View, plan: UndoPlan, asked: Request, by: Author) -> dict[str, Any]:
    """The answer. Raises UndoRefused, and what :meth:`View.undo` does."""
    told = undo_documents.plan(plan, 0)
    if plan.in_the_way and not asked.leave_out_conflicts:
        conflicts = [undo_documents.step(one) for one in plan.conflicts[:MOST_TOLD]]
        members = {name: told[name] for name in ("seq", "set", "summary", "layers")}
        raise UndoRefused(f"nothing is taken back: {refusal(plan)}", members | {"conflicts": conflicts})
    made = view.undo(plan, by, leave_out_conflicts=asked.leave_out_conflicts, agreed=asked.seq)
    return {
        "seq": plan.seq if made is None else made.last,
        "set": None if made is None else made.id,
        "summary": undo_documents.summary(plan, done=True),
        "layers": told["layers"],
    }


def changes_of(root: str, number: int) -> Link:
    """The link to what a change set did."""
    return link("changes", f"{root}/ogc/changes?set={number}", JSON, "What it changed")


def undo_link(root: str) -> Link:
    """The link to where a change set is taken back."""
    return link("undo", f"{root}{PATH}", JSON, "Take it back (POST)")


def _links(root: str, plan: UndoPlan) -> list[Link]:
    links = [undo_link(root)]
    return links if plan.undone is None else [*links, changes_of(root, plan.undone.id)]


# what the documents say of it


def _describe(context: Context) -> Mapping[str, Any]:
    say = context.say
    summary = say("Take back what was done, or show what that would change", "撤销已做的更改，或先预览")
    done = {
        "200": ok(
            say("What was taken back; with `dryRun` what would be", "已撤销的内容；dryRun 时为预览"),
            {JSON: {"oneOf": [reference("undoPlan"), reference("undoResult")]}},
        )
    }
    return {"post": write("undo.post", "undo", summary, done, {JSON: "undo"}, [PARAMETER], more=(409, 410))}


_WHOLE = {"type": "integer", "format": "int64"}
_NULLABLE = {"nullable": True}
_COUNTS = object_of(
    {name: {"type": "integer"} for name in ("added", "removed", "changed", "conflicts")},
    "added removed changed conflicts",
)
_CONFLICT = object_of({"set": _WHOLE, "actor": TEXT | _NULLABLE, "via": TEXT, "at": TEXT}, "set actor via at")
_BOX = array_of({"type": "number"}) | _NULLABLE
_STEP = object_of(
    {
        "layer": TEXT,
        "id": _WHOLE,
        "change": TEXT | {"enum": ["added", "removed", "changed"]},
        "fields": {"type": "object", "additionalProperties": object_of({"old": {}, "new": {}}, "old new")},
        "geometryChanged": {"type": "boolean"},
        "bodyChanged": {"type": "boolean"},
        "bbox": object_of({"old": _BOX, "new": _BOX}, "old new"),
        "conflict": _CONFLICT | _NULLABLE,
    },
    "layer id change fields geometryChanged bodyChanged bbox conflict",
)
_LAYER = object_of(
    {
        "id": TEXT,
        "change": TEXT | {"enum": ["added", "removed", "reverted"]},
        "features": {"type": "integer", "nullable": True},
        "conflict": _CONFLICT | _NULLABLE,
    },
    "id change features conflict",
)


def _schemas(context: Context) -> Mapping[str, Any]:
    done = {
        "seq": _WHOLE,
        "set": _WHOLE | _NULLABLE,
        "summary": _COUNTS,
        "layers": array_of(_LAYER),
        "links": array_of(reference("link")),
    }
    planned = {
        "complete": {"type": "boolean"},
        "steps": array_of(_STEP),
        "lost": {"type": "object", "additionalProperties": array_of(TEXT)},
        "leftOut": array_of(object_of({"layer": TEXT, "reason": TEXT}, "layer reason")),
    }
    asked = object_of({name: dict(schema) for name, schema in MEMBERS.items()}, "")
    return {
        "undo": asked | {"additionalProperties": False},
        "undoPlan": object_of(done | planned, "seq set summary complete steps layers lost leftOut links"),
        "undoResult": object_of(done, "seq set summary layers"),
    }
