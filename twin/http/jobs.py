"""/ogc/jobs: what the server does beside its answers (OGC API - Processes Part 1, OGC 18-062r2, clauses 7.11
job list, 7.12 status, 7.14 dismiss)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from layers.errors import NoKey
from twin.access.caller import CALLER, Caller
from twin.http import answers, respond
from twin.http.context import Context, link
from twin.http.formats import JSON
from twin.http.openapi_parts import array_of, get, object_of, ok, write
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Room, Route, Site
from twin.jobs.job_table import JobRecord

REL = "http://www.opengis.net/def/rel/ogc/1.0/job-list"


def make(site: Site) -> Sequence[Room]:
    """The jobs of the city: list, status, dismissal."""
    city = site.city

    async def listed(scope: Scope, receive: Receive, send: Send) -> None:
        respond.query_map(scope, ())
        jobs = await city.jobs.list(scope[CALLER])
        base = respond.base_url(city, scope)
        links = [{"rel": "self", "type": JSON, "href": f"{base}/ogc/jobs"}]
        await answers.give_json(scope, send, {"jobs": [status(job, base) for job in jobs], "links": links})

    async def read(scope: Scope, receive: Receive, send: Send, job_id: str) -> None:
        respond.query_map(scope, ())
        job = await city.jobs.get(job_id, scope[CALLER])
        await answers.give_json(scope, send, status(job, respond.base_url(city, scope)))

    async def dismiss(scope: Scope, receive: Receive, send: Send, job_id: str) -> None:
        respond.query_map(scope, ())
        job = await city.jobs.cancel(job_id, _identified(scope))
        await answers.give_json(scope, send, status(job, respond.base_url(city, scope)))

    routes = (
        Route("/ogc/jobs", {"GET": listed}, _describe_list),
        Route("/ogc/jobs/{jobId}", {"GET": read, "DELETE": dismiss}, _describe_job),
    )
    return (Room("jobs", ("Jobs", "作业"), routes, landing=_landing, schemas=_schemas),)


def _identified(scope: Scope) -> Caller:
    """Whoever ends a job of others says who it is. Raises NoKey, Unavailable."""
    caller: Caller = scope[CALLER]
    if caller.problem is not None:
        raise caller.problem
    if caller.name is None:
        raise NoKey("a job is ended with a key: Authorization: Bearer <key>")
    return caller


def status(job: JobRecord, base: str) -> dict[str, Any]:
    """The status document of a job (clause 7.12; members without a value are left out)."""
    document = {
        "jobID": job.id,
        "type": "process",
        "processID": job.work,
        "status": job.state,
        "message": job.detail or job.message or None,
        "code": job.code,
        "created": job.created,
        "started": job.started,
        "finished": job.ended,
        "progress": job.progress,
        "by": job.caller,
        "input": dict(job.input),
        "result": None if job.result is None else dict(job.result),
        "links": [{"rel": "self", "type": JSON, "href": f"{base}/ogc/jobs/{job.id}"}],
    }
    return {name: value for name, value in document.items() if value is not None}


def _landing(context: Context) -> list[Any]:
    return [link(REL, f"{context.base}/jobs", JSON, context.say("Jobs", "作业"))]


def _schemas(context: Context) -> dict[str, Any]:
    text = {"type": "string"}
    instant = text | {"format": "date-time"}
    states = ["accepted", "running", "successful", "failed", "dismissed"]
    job = object_of(
        {
            **dict.fromkeys(("jobID", "type", "processID", "message", "code", "by"), text),
            **dict.fromkeys(("created", "started", "finished"), instant),
            **{name: {"type": "object"} for name in ("input", "result")},
            "status": text | {"enum": states},
            "progress": {"type": "integer", "minimum": 0, "maximum": 100},
            "links": array_of({"type": "object"}),
        },
        "jobID type processID status",
    )
    return {
        "job": job,
        "jobs": object_of({"jobs": array_of(job), "links": array_of({"type": "object"})}, "jobs links"),
    }


def _describe_list(context: Context) -> dict[str, Any]:
    words = context.say("The newest jobs", "最新作业")
    return {"get": get("jobs.list", "jobs", words, ok(words, {JSON: "jobs"}), [])}


def _describe_job(context: Context) -> dict[str, Any]:
    say = context.say
    name = {"name": "jobId", "in": "path", "required": True, "schema": {"type": "string"}}
    words, ended = say("A job and how far it is", "作业状态与进度"), say("End a job", "终止作业")
    return {
        "parameters": [name],
        "get": get("jobs.get", "jobs", words, ok(words, {JSON: "job"}), []),
        "delete": write("jobs.dismiss", "jobs", ended, {"200": ok(ended, {JSON: "job"})}, {}, more=(409,)),
    }
