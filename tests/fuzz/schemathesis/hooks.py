"""Cases that are not for schemathesis to judge."""

import schemathesis


@schemathesis.hook
def filter_case(context, case):
    """A limit above the documented maximum is no error: Features Part 1, /req/core/fc-limit-response-1,
    has it count as the maximum, and QGIS needs the maximum in the schema. It is not sent as a wrong one.

    A request line above 64 kB is refused by the HTTP parser, in plain text, before the API sees it."""
    query = case.query or {}
    return len(str(query)) < 5_000 and not _clamped(query.get("limit"))


def _clamped(limit):
    try:
        return not isinstance(limit, list) and int(limit) > 10_000
    except (TypeError, ValueError):
        return False
