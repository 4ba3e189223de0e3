"""Which representation and language a client gets: ``f``, Accept, Accept-Language.

``f`` wins over Accept (OGC API Features Part 1, recommendation 3 leaves it to the server).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from layers.errors import BadParameter, shown
from twin.http import formats
from twin.http.errors import NotAcceptable
from twin.http.formats import Offer, Representation
from twin.http.respond import Scope, header, weighted

#: An Accept header beyond this length is read anew each time; shorter ones are remembered.
REMEMBERED = 300


def representation(scope: Scope, f: str | None, offer: Offer) -> Representation:
    """What to answer with. Raises BadParameter for an unknown ``f``, NotAcceptable for Accept."""
    if f is not None:
        chosen = formats.find(offer, f)
        if chosen is None:
            raise BadParameter("f", f, "one of " + ", ".join(formats.names(offer)))
        return chosen
    accept = header(scope, b"accept")
    if not accept or accept == "*/*":
        return offer[0]
    best = _remembered(accept, offer) if len(accept) < REMEMBERED else _best(accept, offer)
    if best is None:
        media = ", ".join(one.media for one in offer)
        raise NotAcceptable(f"Accept: {shown(accept)}: none can be given here; offered: {media}")
    return best


def chosen(
    pairs: Sequence[tuple[str, str]], names: Collection[str]
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The parameters of these names, which choose a form, and all others.

    Raises BadParameter when one of the former is given twice."""
    parameters: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    for pair in pairs:
        name, value = pair
        if name not in names:
            others.append(pair)
        elif name in parameters:
            raise BadParameter(name, value, "given more than once")
        else:
            parameters[name] = value
    return parameters, others


def _best(accept: str, offer: Offer) -> Representation | None:
    """The offer of greatest weight; among equals the one named first in the header, then in the offer."""
    ranges = weighted(accept)
    rated = [(_rating(one, ranges), one) for one in offer]
    rated = [pair for pair in rated if pair[0][0] > 0]
    return max(rated, key=lambda pair: pair[0])[1] if rated else None


_remembered = lru_cache(maxsize=256)(_best)


def _rating(one: Representation, ranges: Sequence[tuple[str, float]]) -> tuple[float, int]:
    """Weight and place of the most specific range that fits (RFC 9110 section 12.5.1)."""
    best, specific = (0.0, 0), -1
    for place, (media, value) in enumerate(ranges):
        fits = _specificity(one, media)
        if fits > specific:
            best, specific = (value, -place), fits
    return best


def _specificity(one: Representation, media: str) -> int:
    if media in one.takes:
        return 2
    if media == "*/*":
        return 0
    return 1 if media.endswith("/*") and one.media.startswith(media[:-1]) else -1


def language(scope: Scope, offered: Sequence[str]) -> str:
    """The best of the city's languages for Accept-Language; the city's first without a match."""
    accepted = header(scope, b"accept-language")
    if accepted:
        for tag, value in weighted(accepted):
            if value <= 0:
                continue
            for candidate in offered:
                if candidate.lower() == tag or candidate.lower().split("-")[0] == tag.split("-")[0]:
                    return candidate
    return offered[0]


def text(titles: Mapping[str, str], lang: str, fallback: str = "") -> str:
    """A title in a language, else in English, else in any language there is, else the fallback."""
    return titles.get(lang) or titles.get("en") or next(iter(titles.values()), "") or fallback
