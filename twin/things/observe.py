"""Observations as sent → observations as kept: the one gate for every channel (DESIGN road 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from layers.errors import BadBody, NotFound, TwinError, shown
from layers.observations.series import Observation
from twin.live import clock
from twin.live.registry import Datastream

FUTURE_MS = 5 * 60_000
MAX_TEXT = 64_000
MEMBERS = frozenset(
    {"phenomenonTime", "resultTime", "result", "resultQuality", "validTime", "parameters"}
    | {"Datastream", "FeatureOfInterest"}
)
_EXTRA = ("resultQuality", "validTime", "parameters")
_COMPONENTS = MEMBERS - {"Datastream", "FeatureOfInterest"} | {"FeatureOfInterest/id"}

type Find = Callable[[int], Datastream | None]


def decode(body: Mapping[str, Any], stream: Datastream, now: int, feature: int | None = None) -> Observation:
    """One observation, checked against its datastream. Raises BadBody naming the member."""
    if not MEMBERS.issuperset(body):
        unknown = next(name for name in body if name not in MEMBERS)
        if not str(unknown).endswith(("@iot.navigationLink", "@iot.selfLink")):
            raise BadBody(f"{shown(unknown)}: not a member of an Observation")
    time, end = now, None
    if body.get("phenomenonTime") is not None:
        time, end = clock.parse_interval(body["phenomenonTime"], "phenomenonTime")
    if (end or time) > now + FUTURE_MS and not stream.forecast:
        raise BadBody(
            f"phenomenonTime={clock.iso(end or time)}: more than 5 minutes in the future (the server has "
            f"{clock.iso(now)}); a datastream of forecasts says so in properties.forecast"
        )
    if feature is None and stream.feature is None:
        raise BadBody(
            f"FeatureOfInterest: required (OGC 18-088 clause 8.2.7), as Thing {stream.thing} of Datastream "
            f"{stream.id} has no Location that it could be made from: give the Thing one, or name a feature"
        )
    result_time = body.get("resultTime")
    if "result" not in body:
        raise BadBody("result: required")
    number, text = _result(body["result"], stream)
    return Observation(
        stream.id,
        time,
        number,
        text,
        end,
        None if result_time is None else clock.parse(result_time, "resultTime"),
        _extra(body),
        feature if feature is not None else stream.feature,
    )


def _result(value: object, stream: Datastream) -> tuple[float | int | None, str | None]:
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        if stream.integer and isinstance(value, float) and not value.is_integer():
            raise BadBody(f"result={shown(value)}: this datastream counts, so an integer is required")
        if isinstance(value, int) and abs(value) >> 62:
            return float(value), None
        return value, None
    if stream.numeric:
        raise BadBody(f"result={shown(value)}: this datastream measures, so a number is required")
    text = orjson.dumps(value).decode()
    if len(text) > MAX_TEXT:
        raise BadBody(f"result: at most {MAX_TEXT} characters")
    return None, text


def _extra(body: Mapping[str, Any]) -> str | None:
    extra = {name: body[name] for name in _EXTRA if body.get(name) is not None}
    if not extra:
        return None
    if "validTime" in extra:
        clock.parse_interval(extra["validTime"], "validTime")
    if not isinstance(extra.get("parameters", {}), dict):
        raise BadBody("parameters: an object is required")
    text = orjson.dumps(extra).decode()
    if len(text) > MAX_TEXT:
        raise BadBody(f"resultQuality, validTime, parameters: together at most {MAX_TEXT} characters")
    return text


def reference(value: object, name: str) -> int:
    """The id in ``{"@iot.id": 5}``. Raises BadBody."""
    id_ = value.get("@iot.id", value.get("id")) if isinstance(value, dict) else None
    if not isinstance(id_, int) or isinstance(id_, bool) or not 0 < id_ < 2**53:
        raise BadBody(f'{name}: {{"@iot.id": 1}} is required')
    return id_


def decode_arrays(body: object, find: Find, now: int) -> list[Observation | str]:
    """A CreateObservations body (clause 12.3): an observation a good row, ``error …`` a bad one.

    Raises BadBody when the frame around the rows cannot be read."""
    if not isinstance(body, list):
        raise BadBody("a list of objects with Datastream, components and dataArray is required")
    rows: list[Observation | str] = []
    for i, group in enumerate(body):
        if not isinstance(group, dict):
            raise BadBody(f"[{i}]: an object is required")
        rows.extend(_group(group, f"[{i}]", find, now))
    return rows


def _group(group: Mapping[str, Any], place: str, find: Find, now: int) -> Iterator[Observation | str]:
    names, rows = group.get("components"), group.get("dataArray")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise BadBody(f"{place}.components: a list of names is required")
    unknown = [name for name in names if name not in _COMPONENTS]
    if unknown or len(set(names)) != len(names):
        raise BadBody(
            f"{place}.components: {shown(unknown or names)}; known: {', '.join(sorted(_COMPONENTS))}"
        )
    if not isinstance(rows, list):
        raise BadBody(f"{place}.dataArray: a list of rows is required")
    try:
        id_ = reference(group.get("Datastream"), f"{place}.Datastream")
        stream = find(id_)
        if stream is None:
            raise NotFound(f"no Datastream {id_}")
    except TwinError as error:
        return iter([f"error {error}"] * len(rows))
    return (_row(names, row, stream, now) for row in rows)


def _row(names: Sequence[str], row: object, stream: Datastream, now: int) -> Observation | str:
    if not isinstance(row, list) or len(row) != len(names):
        return f"error a row needs {len(names)} values: {', '.join(names)}"
    body = dict(zip(names, row, strict=True))
    try:
        feature = body.pop("FeatureOfInterest/id", None)
        if feature is not None:
            feature = reference({"@iot.id": feature}, "FeatureOfInterest/id")
        return decode(body, stream, now, feature)
    except TwinError as error:
        return f"error {error}"
