"""Who works at the command line: the user of the operating system, and the machine."""

from __future__ import annotations

import os
import pwd
import socket

from layers.model import Author


def operator(message: str = "") -> Author:
    """The author of what a verb does: ``user@host``, which no key is called, from this host."""
    host = socket.gethostname()
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under a number without a name
        user = f"uid {os.getuid()}"
    return Author(actor=f"{user}@{host}", address=host, message=message)
