"""The secrets of webhooks: out of the settings, the environment or a file, when the city is opened."""

from __future__ import annotations

import os
from pathlib import Path

from layers.errors import BadConfig, shown
from layers.store.database import VARIABLE
from twin.settings import FILE, Webhook
from twin.webhooks import signature

#: More than any file of secrets has.
MOST_BYTES = 4096


def of(webhook: Webhook, folder: Path) -> tuple[bytes, ...]:
    """The secrets of a webhook of the city in a folder. Raises BadConfig, which does not tell them."""
    named = "secret" if webhook.secret is not None else "secret_file"
    try:
        return signature.keys(_text(webhook, folder))
    except ValueError as error:
        raise BadConfig(f"{FILE}: webhooks: {webhook.name}: {named}: {error}") from None


def _text(webhook: Webhook, folder: Path) -> str:
    if webhook.secret is None:
        assert webhook.secret_file is not None
        return _read(folder / webhook.secret_file)
    variable = VARIABLE.fullmatch(webhook.secret)
    if variable is None:
        return webhook.secret
    content = os.environ.get(variable[1])
    if content is None:
        raise ValueError(f"the environment variable {variable[1]} is not set")
    return content


def _read(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            content = opened.read(MOST_BYTES)
    except OSError as error:
        raise ValueError(f"{shown(path.name)} cannot be read: {error.strerror}") from None
    return content.decode("ascii", "replace")
