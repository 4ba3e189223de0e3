"""Datastreams as the registry has them, without a file."""

from twin.live.registry import Datastream
from twin.live.rules import Rule


def sensor(id_, place, state="ok", *, simulated=False):
    lon, lat = place or (None, None)
    return Datastream(
        id=id_,
        name=f"Gauge {id_}",
        property="water_level",
        unit="m",
        numeric=True,
        integer=False,
        forecast=False,
        simulated=simulated,
        lon=lon,
        lat=lat,
        rule=Rule(),
        feature=None,
        value=float(id_),
        time=1000 * id_,
        state=state,
    )
