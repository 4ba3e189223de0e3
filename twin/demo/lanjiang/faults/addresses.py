"""What is wrong with door plates."""

from __future__ import annotations

import numpy as np
import shapely

from twin.demo.lanjiang import names
from twin.demo.lanjiang.planting import Fault, Row
from twin.demo.lanjiang.subject import SHAPE

_WIDE = str.maketrans("0123456789-", "０１２３４５６７８９－")
#: Metres from a plate to where it is drawn by mistake: beyond its building and its yard.
_OFF = 85.0


def _told(row: Row, old: str, new: str, *columns: str) -> Row:
    """Another text in some columns and in the whole address."""
    for column in (*columns, "标准地址"):
        row[column] = row[column].replace(old, new)
    return row


def _other_word(row: Row, random: np.random.Generator) -> tuple[Row, ...] | None:
    """栋 or 号楼 for 幢."""
    house = row["楼幢"]
    if not house or not house.endswith("幢"):
        return None
    return (_told(row, house, house[:-1] + str(random.choice(["栋", "号楼"])), "楼幢"),)


def _full_width(row: Row, _random: np.random.Generator) -> tuple[Row, ...]:
    number = row["门牌号"]
    return (_told(row, row["街路巷"] + number, row["街路巷"] + number.translate(_WIDE), "街路巷", "门牌号"),)


def _former_road(row: Row, _random: np.random.Generator) -> tuple[Row, ...]:
    """The name that the road had before; ``names.former`` tells it."""
    return (_told(row, row["街路巷"], names.former(row["街路巷"]), "街路巷"),)


def _twice(row: Row, _random: np.random.Generator) -> tuple[Row, ...]:
    """The same address under another code."""
    return row, row | {"地址编码": f"{row['地址编码']}D"}


def _same_code(row: Row, _random: np.random.Generator) -> tuple[Row, ...]:
    return row, dict(row)


def _outside(row: Row, random: np.random.Generator) -> tuple[Row, ...]:
    turn = float(random.uniform(0, 2 * np.pi))
    x, y = row[SHAPE].x + _OFF * np.cos(turn), row[SHAPE].y + _OFF * np.sin(turn)
    row[SHAPE] = shapely.Point(round(float(x), 3), round(float(y), 3))
    return (row,)


def _no_street(row: Row, _random: np.random.Generator) -> tuple[Row, ...]:
    row["街路巷"] = row["门牌号"] = row["标准地址"] = None
    return (row,)


FAULTS = (
    Fault("address.word", "address.word", 0.012, _other_word),
    Fault("address.full_width", "address.full_width", 0.003, _full_width),
    Fault("address.former_road", "address.former_road", 0.003, _former_road),
    Fault("address.twice", "address.duplicate", 0.003, _twice),
    Fault("address.same_code", "id.duplicate", 0.002, _same_code),
    Fault("address.outside", "address.outside_building", 0.003, _outside),
    Fault("address.no_street", "address.empty", 0.002, _no_street),
)
