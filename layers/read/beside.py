"""Files that a source names by relative paths: images, materials, buffers."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

#: How far above the source a named file may lie, as folders of models and of images are laid out.
_UP = 3
_DRIVE = re.compile(r"[A-Za-z]:")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


class NotBeside(ValueError):
    """Why a named file cannot be read, in words of a report."""


def find(folder: Path, named: str, most: int) -> Path:
    """The regular file of at most so many bytes that a source in ``folder`` names. Capitals may differ, as
    they do on machines that take no notice of them. Raises NotBeside."""
    if named.startswith(("http:", "https:", "//")):
        raise NotBeside("it lies at an address, and nothing is fetched")
    text = re.sub(r"^file:(///?)?", "", named).replace("\\", "/")
    if _DRIVE.match(text) or text.startswith("/"):
        text = text.rsplit("/", 1)[-1]  # a place of the machine that wrote it: beside, as a rule
    elif _SCHEME.match(text):
        raise NotBeside("it is no path of a file")
    for each in dict.fromkeys((text, unquote(text))):
        found = _within(folder, each)
        if found is not None:
            if found.stat().st_size > most:
                raise NotBeside(f"it has {found.stat().st_size} bytes, the limit is {most}")
            return found
    raise NotBeside("it is not beside the file")


def _within(folder: Path, text: str) -> Path | None:
    """The file that a relative path leads to, which may be above the folder only as far as it says."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    up = 0
    while up < len(parts) and parts[up] == "..":
        up += 1
    if up > _UP or ".." in parts[up:] or "\x00" in text or not parts[up:]:
        return None
    try:
        root = folder.resolve()
        for _ in range(up):
            root = root.parent
        at = root
        for part in parts[up:]:
            at = _member(at, part)
        real = at.resolve()
    except OSError:
        return None
    return real if real.is_relative_to(root) and real.is_file() else None


def _member(folder: Path, name: str) -> Path:
    """What a folder has under a name; where there is none, under the same name in other capitals."""
    at = folder / name
    if at.exists() or not folder.is_dir():
        return at
    alike = (other for other in os.listdir(folder) if other.casefold() == name.casefold())
    return folder / next(alike, name)
