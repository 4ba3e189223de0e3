"""``POST /ogc/transactions``: many edits of several layers at once (draft OGC API Features Part 11).

Atomic without another word: all is written or nothing, and every reason is told. One transaction of a server
is written at a time, so that single edits always find a thread and a connection beside it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from layers.errors import BadParameter, TwinError
from layers.model import Author, Once, Operation, Outcome
from twin.access.caller import CALLER
from twin.http import answers, etags, respond
from twin.http.author import PARAMETER, author
from twin.http.context import Context
from twin.http.errors import TransactionRefused, document, faults, status_of
from twin.http.formats import JSON
from twin.http.ogc.transaction_document import Document, Member, read
from twin.http.openapi_parts import (
    array_of,
    header_parameter,
    object_of,
    ok,
    reference,
    write,
)
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Room, Route, Site, never

if TYPE_CHECKING:
    from twin.catalogue.view import View

PATH = "/ogc/transactions"
MEDIA = "application/ogc-tx+json"
MAX_BODY = 8 * 1_048_576
#: Reasons that are told of one transaction.
MAX_EXCEPTIONS = 1_000
#: A request that is sent again with the same key is not done again.
ONCE = "Idempotency-Key"
_KEY = re.compile(r'"([!#-\[\]-~]{1,128})"|([!#-+\--\[\]-~]{1,128})', re.ASCII)
_TOTALS = {"create": "Inserted", "replace": "Replaced", "patch": "Updated", "delete": "Deleted"}
_MINIMAL = re.compile(r"(?:^|,)\s*return\s*=\s*\"?minimal\"?\s*(?:[,;]|$)", re.IGNORECASE)


def room(site: Site) -> Room:
    """The route of transactions."""
    city = site.city

    async def post(scope: Scope, receive: Receive, send: Send) -> None:
        by = author(city, scope)
        respond.query_map(scope, ())
        body = await respond.body_of(scope, receive, MAX_BODY, MEDIA, JSON)
        view, base = city.catalogue.of(scope[CALLER]), respond.base_url(city, scope)
        crs = respond.header(scope, b"content-crs")
        once = _once(scope, by, body, crs)
        minimal = _MINIMAL.search(respond.header(scope, b"prefer") or "") is not None
        result = await city.write_alone(_transact, view, body, crs, by, base, minimal, once)
        applied = [(b"preference-applied", b"return=minimal")] if minimal else []
        await answers.give_json(scope, send, result, [answers.UNKEPT, *applied])

    return Room(
        "transactions",
        ("Transactions: many edits at once", "事务：一次提交多项编辑"),
        (Route(PATH, {"POST": post}, _describe, takes={"POST": f"{MEDIA}, {JSON}"}, told=never),),
        schemas=_schemas,
    )


def _transact(
    view: View,
    body: bytes,
    crs: str | None,
    by: Author,
    base: str,
    minimal: bool,
    once: Once | None,
) -> dict[str, Any]:
    """The answer. Raises BadBody, TooLarge, Unavailable, KeyReused, and TransactionRefused where nothing is
    written."""
    asked = read(respond.read_json(body), view, crs)
    if once is not None and not asked.atomic:
        raise BadParameter(ONCE, once.key, "is of atomic transactions: of a batch a part may be done")
    by = replace(by, message=asked.message or by.message)
    outcomes = view.transact([one.operation for one in asked.members], by, atomic=asked.atomic, once=once)
    exceptions = [
        _exception(member, outcome.error)
        for member, outcome in zip(asked.members, outcomes, strict=True)
        if outcome.error is not None
    ]
    result: dict[str, Any] = {
        "semantic": "atomic" if asked.atomic else "batch",
        "summary": _summary(asked, outcomes),
    }
    if exceptions:
        result |= {"numberOfExceptions": len(exceptions), "exceptions": exceptions[:MAX_EXCEPTIONS]}
    if exceptions and asked.atomic:
        wrong = "1 edit" if len(exceptions) == 1 else f"{len(exceptions)} edits"
        raise TransactionRefused(f"nothing is written: {wrong} of {len(outcomes)} cannot be done", result)
    return result if minimal else result | _results(asked, outcomes, base, view.epoch)


def _once(scope: Scope, by: Author, body: bytes, crs: str | None) -> Once | None:
    """The request as one that is done once, where it has a key (draft-ietf-httpapi-idempotency-key-header-07,
    section 2.1: a string of structured fields; one without quotes is taken, too). Raises BadParameter."""
    sent = respond.header(scope, ONCE.lower().encode())
    if sent is None:
        return None
    match = _KEY.fullmatch(sent.strip())
    if match is None:
        raise BadParameter(ONCE, sent, "a text of 1 to 128 characters, such as a UUID, in quotes")
    digest = hashlib.sha256(body + b"\0" + (crs or "").encode()).hexdigest()
    return Once(by.actor or "", match[1] or match[2], digest)


def _summary(asked: Document, outcomes: Sequence[Outcome]) -> dict[str, int]:
    totals = dict.fromkeys(_TOTALS, 0)
    for operation, _ in _written(asked, outcomes):
        totals[operation.kind] += 1
    return {f"total{name}": totals[kind] for kind, name in _TOTALS.items()}


def _written(asked: Document, outcomes: Sequence[Outcome]) -> list[tuple[Operation, Outcome]]:
    return [
        (member.operation, outcome)
        for member, outcome in zip(asked.members, outcomes, strict=True)
        if isinstance(member.operation, Operation) and outcome.fid is not None
    ]


def _results(asked: Document, outcomes: Sequence[Outcome], base: str, epoch: str) -> dict[str, Any]:
    """The addresses of the features by what was done, and the ETag of each that is still there."""
    lists: dict[str, Any] = {f"{name}Results": [] for name in ("insert", "replace", "update", "delete")}
    names = {"create": "insert", "patch": "update"}
    revisions: dict[str, str] = {}
    for operation, outcome in _written(asked, outcomes):
        here = f"{base}/ogc/collections/{operation.layer}/items/{outcome.fid}"
        lists[f"{names.get(operation.kind, operation.kind)}Results"].append(here)
        revisions[here] = etags.tag(epoch, outcome.revision or 0)
    gone = set(lists["deleteResults"])
    return lists | {"etags": {here: etag for here, etag in revisions.items() if here not in gone}}


def _exception(member: Member, error: TwinError) -> dict[str, Any]:
    """A problem (RFC 9457) with where it is: ``index`` of the action, ``item`` of an insert."""
    told: dict[str, Any] = document(status_of(error), error.code, str(error)) | faults(error)
    told["index"] = member.index
    if member.item is not None:
        told["item"] = member.item
    for name, given in (("actionId", "id"), ("action", "action"), ("collectionId", "collection")):
        value = member.given.get(given)
        if isinstance(value, str):
            told[name] = value[:80]
    if isinstance(member.operation, Operation) and member.operation.fid is not None:
        told["featureIds"] = [str(member.operation.fid)]
    return told


# what the documents say of it


def _describe(context: Context) -> Mapping[str, Any]:
    say = context.say
    summary = say("Edit features of several layers in one transaction", "在一个事务中编辑多个图层的要素")
    body = {MEDIA: "transaction", JSON: "transaction"}
    crs = header_parameter("Content-Crs", "The CRS of the geometries in the body", {"type": "string"})
    prefer = header_parameter("Prefer", "return=minimal: without the addresses", {"type": "string"})
    told = "Sent again with the same key and body within a day, it is not done again but answered as before"
    once = header_parameter(ONCE, told, {"type": "string"})
    done = {"200": ok(say("What was written", "已写入的内容"), {JSON: "transactionResult"})}
    return {
        "post": write(
            "transactions.post",
            "transactions",
            summary,
            done,
            body,
            [crs, prefer, once, PARAMETER],
            more=(422,),
        )
    }


def _schemas(context: Context) -> Mapping[str, Any]:
    text: dict[str, Any] = {"type": "string"}
    value: dict[str, Any] = {
        "description": "A value of the property's type; a GeoJSON geometry",
        "nullable": True,
    }
    pairs = array_of(object_of({"name": text, "value": value}, "name"))
    action = object_of(
        {
            "id": text | {"description": "Repeated in what is told of the action"},
            "title": text,
            "description": text,
            "action": text | {"enum": ["insert", "replace", "update", "delete"]},
            "collection": text,
            "items": array_of({"type": "object", "description": "Of insert: new features"}),
            "feature": {"type": "object", "description": "Of replace: the whole feature"},
            "properties": object_of({"add": pairs, "modify": pairs, "delete": array_of(text)}, ""),
            "filter": {
                "description": "The features by id or source_id, as CQL2",
                "oneOf": [text, {"type": "object"}],
            },
            "filter-lang": text | {"enum": ["cql2-text", "cql2-json"]},
            "if-match": text | {"description": "The ETag of the one feature before the transaction"},
        },
        "action collection",
    )
    whole = {"type": "integer", "minimum": 0}
    addresses = array_of(text | {"format": "uri"})
    return {
        "transactionAction": action,
        "transaction": object_of(
            {
                "title": text,
                "description": text | {"description": "Why: the message of the change set"},
                "semantic": text | {"enum": ["atomic", "batch"], "default": "atomic"},
                "transaction": array_of(reference("transactionAction")),
            },
            "transaction",
        ),
        "transactionResult": object_of(
            {
                "semantic": text,
                "summary": object_of(dict.fromkeys((f"total{name}" for name in _TOTALS.values()), whole), ""),
                **dict.fromkeys(
                    ("insertResults", "replaceResults", "updateResults", "deleteResults"), addresses
                ),
                "etags": {"type": "object", "additionalProperties": text},
                "numberOfExceptions": whole,
                "exceptions": array_of(reference("problem")),
            },
            "semantic summary",
        ),
    }
