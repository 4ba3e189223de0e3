"""Names of what is invented: districts, roads, estates, factories. All are made of the place they are for."""

from __future__ import annotations

from twin.demo.lanjiang.plan import Class

CITY, CODE = "岚江市", "980100"
NOTICE = "虚构演示数据"
_FIRST = "云青明锦文春松竹兰桂柳梅枫荷月星晨曦安康和顺德仁义礼信华荣昌盛永长福禄泰宁清澄碧翠金银玉珠宝"
_SECOND = "河山林海湖泉溪岭峰谷桥亭台园庭苑堂轩城关门渡洲屿湾港塘坪原野阳光辉霞波涛浪帆航舟源泽润涵秀景瑞祥"
_NUMERALS = "零一二三四五六七八九"
_DISTRICTS = ("江北区", "江南区", "岭东区", "临港区", "西塘区")
_ESTATES = ("花园", "家园", "新村", "雅苑", "名邸", "嘉园", "公馆", "里")
#: Columns of superblocks that one name of a main road holds for.
SECTION = 4


def numeral(number: int) -> str:
    """A number below 100 in Chinese."""
    tens, ones = divmod(number, 10)
    if tens == 0:
        return _NUMERALS[ones]
    return ("" if tens == 1 else _NUMERALS[tens]) + "十" + (_NUMERALS[ones] if ones else "")


def word(number: int) -> str:
    """A word of two characters; another one for each number up to 2 400."""
    first, second = divmod(number * 1_009 % (len(_FIRST) * len(_SECOND)), len(_SECOND))
    return _FIRST[first] + _SECOND[second]


def cell(i: int, j: int) -> int:
    """The number of a superblock, from the middle outwards: ring after ring."""
    ring = max(abs(i), abs(j))
    if ring == 0:
        return 0
    side = 2 * ring
    if j == -ring:
        along = i + ring
    elif i == ring:
        along = side + j + ring
    elif j == ring:
        along = 2 * side + ring - i
    else:
        along = 3 * side + ring - j
    return (2 * ring - 1) ** 2 + along


def main_road(level: bool, line: int, along: int) -> str:
    """The name of a main road: of a row of crossings (``level``) or a column, at a superblock along it."""
    number = cell(line, along // SECTION)
    return word(2 * number + 1 + level) + ("大道" if line == 0 else "路")


def street(i: int, j: int, number: int, cls: Class) -> str:
    """The name of a street within a superblock, by its number there, from 1."""
    return word(2_399 - cell(i, j) % 1_200) + numeral(number) + ("巷" if cls is Class.LANE else "路")


def former(road: str) -> str:
    """What a road was called before it got its name."""
    number = sum(ord(letter) * (at + 1) for at, letter in enumerate(road))
    return f"老{word(number % 2_400)}街"


def district(i: int, j: int) -> str:
    """The district (区) of a superblock: whole subdistricts, parted by the river."""
    across, up = _part(i, j)
    if abs(across) <= 3 and abs(up) <= 2:
        return _DISTRICTS[0 if up >= 0 else 1]
    return _DISTRICTS[2 + (across < 0) + (up < 0 and across < 0)]


def subdistrict(i: int, j: int) -> tuple[str, str]:
    """Code (9 digits) and name of the subdistrict (街道) of a superblock."""
    number = cell(*_part(i, j))
    return f"{CODE}{number + 1:03d}", word(number * 7 + 300) + "街道"


def _part(i: int, j: int) -> tuple[int, int]:
    """Column and row of subdistricts: three superblocks by five, none on both banks."""
    return (i + 1) // 3, (j + 1) // 5


def community(i: int, j: int) -> tuple[str, str]:
    """Code (12 digits) and name of the community (社区) of a superblock."""
    code, _ = subdistrict(i, j)
    number = (i + 1) % 3 * 5 + (j + 1) % 5 + 1
    return f"{code}{number:03d}", word(cell(i, j) + 700) + "社区"


def estate(i: int, j: int, number: int) -> str:
    """The name of an estate (小区)."""
    return word(cell(i, j) * 11 + number * 3 + 1_300) + _ESTATES[(cell(i, j) + number) % len(_ESTATES)]
