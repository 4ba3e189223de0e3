"""Zip archives: what is inside is checked by the directory of the archive before a byte is unpacked."""

from __future__ import annotations

import errno
import stat
import zipfile
from pathlib import Path, PurePosixPath

from layers.errors import BadFile, shown
from layers.read.base import ReadLimits
from layers.read.sample import ZIP_FAULTS

_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_UTF8 = 0x800
_BLOCK = 1 << 20
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def unpack(path: Path, folder: Path, limits: ReadLimits) -> None:
    """Unpack an archive into a new folder.

    Raises BadFile: zip.damaged, zip.encrypted, zip.path (a name that leads out of the folder), zip.link,
    zip.method, zip.nested, zip.bomb, limit.members, limit.bytes, limit.disk.
    """
    folder.mkdir()
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            _check_sizes(members, path.stat().st_size, limits)
            names = [_checked(member) for member in members]
            if len({name.casefold() for name in names}) < len(names):
                raise BadFile("zip.path", "the zip archive holds two files of one name")
            for member, name in zip(members, names, strict=True):
                _write(archive, member, folder / name)
    except ZIP_FAULTS as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise BadFile("limit.disk", "there is no room to unpack the zip archive") from error
        raise BadFile("zip.damaged", f"the zip archive cannot be read: {shown(error)}") from error


def _check_sizes(members: list[zipfile.ZipInfo], packed: int, limits: ReadLimits) -> None:
    """By the sizes that the archive declares: unpacking ends at them."""
    if len(members) > limits.members:
        raise BadFile("limit.members", f"the zip archive holds more than {limits.members} files")
    size = sum(member.file_size for member in members)
    if size > limits.size:
        raise BadFile("limit.bytes", f"the zip archive unpacks to {size} bytes, the limit is {limits.size}")
    if limits.bursts(size, packed):
        raise BadFile("zip.bomb", f"the zip archive unpacks to more than {limits.ratio} times its size")


def _checked(member: zipfile.ZipInfo) -> str:
    """The member's name, which leads to a place inside the folder. Raises BadFile."""
    name = _name(member)
    parts = PurePosixPath(name).parts
    if member.flag_bits & _ENCRYPTED:
        raise BadFile("zip.encrypted", "the zip archive is encrypted; unpack it first")
    if not parts or ".." in parts or parts[0] == "/" or "\\" in name or ":" in name or "\x00" in name:
        raise BadFile("zip.path", f"the zip archive holds a file outside itself: {shown(name)}")
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise BadFile("zip.link", f"the zip archive holds a link or a device: {shown(name)}")
    if member.compress_type not in _METHODS:
        raise BadFile("zip.method", f"{shown(name)} is packed by a method that is not read; only deflate is")
    if parts[-1].casefold().endswith(".zip"):
        raise BadFile("zip.nested", f"the zip archive holds another, {shown(name)}; unpack it first")
    return "/".join(parts)


def _name(member: zipfile.ZipInfo) -> str:
    """A name without the UTF-8 mark is UTF-8 all the same, or GB18030 (Windows in Chinese), else of code page
    437 as the standard says (APPNOTE 6.3.10, appendix D)."""
    if member.flag_bits & _UTF8:
        return member.filename
    raw = member.filename.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return member.filename


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as packed, to.open("xb") as out:
        while block := packed.read(_BLOCK):
            out.write(block)
