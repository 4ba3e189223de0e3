"""Single values of ``city.yml``: each is checked; ValueError says what is allowed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from layers import crs as crs_
from layers.errors import BadFile, BadParameter
from tiles.imagery import style as styles


def zone(name: str) -> str:
    """The name of a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("not a time zone name such as Asia/Shanghai") from error
    return name


def crs(text: str) -> str:
    """The city's own CRS, as ``EPSG:n``."""
    try:
        return crs_.horizontal(text)
    except BadParameter as error:
        raise ValueError("not the code of a coordinate system such as EPSG:4547") from error
    except BadFile as error:
        raise ValueError(error.reason) from error


#: What stands in no address.
_NO_ADDRESS = re.compile(r"[\x00-\x20\x7f<>\"]")
#: The path of a public address.
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")


def address(url: str | None) -> str | None:
    """A public address of this server; it may have a path, below which a proxy shows the server."""
    try:
        parts = urlsplit(url or "http://none")
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or _NO_ADDRESS.search(url or ""):
        raise ValueError("not an address such as https://map.example.org or https://example.org/map")
    if parts.query or parts.fragment or parts.username is not None or not _PATH.fullmatch(parts.path):
        raise ValueError("an address has a host and a path of letters, digits, . _ ~ - and nothing else")
    return url


def receiver(url: str) -> str:
    """Where messages are sent: https, or http inside one's own house. To which address a name leads is
    looked at each time it is called."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or _NO_ADDRESS.search(url) or not url.isascii():
        raise ValueError("not an address such as https://example.org/city")
    if parts.username is not None or parts.fragment:
        raise ValueError("an address of a receiver has no user and no fragment")
    if parts.scheme == "http" and not _is_near(parts.hostname or ""):
        raise ValueError("http is for loopback and private addresses; others take https")
    return url


def box(bbox: tuple[float, float, float, float] | None) -> tuple[float, float, float, float] | None:
    """West, south, east, north in degrees; west greater than east crosses the antimeridian."""
    if bbox is not None:
        west, south, east, north = bbox
        if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
            raise ValueError("not west, south, east, north in degrees")
    return bbox


def area(rings: str | tuple[tuple[tuple[float, float], ...], ...]) -> Any:
    """Rings in degrees, or the name of a file below the city folder."""
    if isinstance(rings, str):
        path = PurePosixPath(rings)
        if path.is_absolute() or ".." in path.parts or "\\" in rings:
            raise ValueError("not the name of a GeoJSON file in the city folder")
    elif not all(-180 <= lon <= 180 and -90 <= lat <= 90 for ring in rings for lon, lat in ring):
        raise ValueError("not rings of longitude and latitude in degrees")
    return rings


def _is_near(host: str) -> bool:
    try:
        return near(ipaddress.ip_address(host))
    except ValueError:
        return True


def near(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is loopback or private: what is sent there in clear does not leave the house."""
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_private)


#: Schemes of an address that a page may lead to.
LINKED = ("http", "https", "mailto")


def link(url: str | None) -> str | None:
    """An address that pages lead to; none that runs something, such as ``javascript:``."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        good = parts.scheme in LINKED and bool(parts.path if parts.scheme == "mailto" else parts.hostname)
    except ValueError:
        good = False
    if not good or _NO_ADDRESS.search(url):
        raise ValueError(f"not an address of one of the schemes {', '.join(LINKED)}")
    return url


def style(style: dict[str, Any] | None) -> dict[str, Any] | None:
    """How a layer is drawn: the members of rasters are checked, the others are the page's."""
    for member, text in (style or {}).items():
        if (read := _OF_RASTERS.get(member)) is not None:
            written = ",".join(map(str, text)) if isinstance(text, list) else str(text)
            try:
                read(written.lower() if isinstance(text, bool) else written)
            except ValueError as error:
                raise ValueError(f"{member}: {error}") from error
    return style


def _opacity(text: str) -> float:
    try:
        part = float(text)
    except ValueError:
        part = -1.0
    if not 0 <= part <= 1:
        raise ValueError("a number from 0 to 1")
    return part


_OF_RASTERS: Mapping[str, Callable[[str], object]] = {
    "colormap": styles.read_colormap,
    "range": styles.read_range,
    "bands": styles.read_bands,
    "hillshade": styles.read_flag,
    "opacity": _opacity,
}


#: How a syslog server is named, and where it listens if it does not say.
_SYSLOG = re.compile(
    r"(?P<by>udp|tcp|tls)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?"
    r"|unix:(?P<path>/.{1,100})"
)
_PORTS = {"udp": 514, "tcp": 601, "tls": 6514}


@dataclass(frozen=True, slots=True)
class SyslogAddress:
    """Where a syslog server listens: ``host`` and ``port``, or the path of a ``unix`` socket as host."""

    by: Literal["udp", "tcp", "tls", "unix"]
    host: str
    port: int = 0

    @classmethod
    def parsed(cls, text: str) -> SyslogAddress:
        """From ``tls://collector.example.org:6514``, or ``unix:/dev/log``. Raises ValueError."""
        match = _SYSLOG.fullmatch(text)
        if match is None:
            raise ValueError("not tls://host:6514, tcp://host:601, udp://host:514 or unix:/dev/log")
        if match["path"]:
            return cls("unix", match["path"])
        port = int(match["port"] or _PORTS[match["by"]])
        if not 0 < port < 65_536:
            raise ValueError(f"{port} is no port")
        return cls(cast(Any, match["by"]), match["host"].strip("[]"), port)


def syslog(text: str) -> str:
    """The address of a syslog server, as it is written."""
    SyslogAddress.parsed(text)
    return text
