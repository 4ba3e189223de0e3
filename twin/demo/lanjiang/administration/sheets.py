"""Tables without a place, as CSV (GB18030) and as the workbooks of offices, with merged cells."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

import xlsxwriter

from twin.demo.lanjiang import files, names
from twin.demo.lanjiang.administration.items import LAW, Item
from twin.demo.lanjiang.subject import NOTE

#: The columns of the table of items.
HEADS = (
    "大类代码",
    "大类名称",
    "小类代码",
    "小类名称",
    "立案条件",
    "处置时限",
    "结案条件",
    "监管主体",
    "责任主体",
    "法律法规依据",
    "具体条款",
    "采集要求",
)
#: Columns that have one cell for all conditions of a class, and of a sub-class.
_BY_MAIN, _BY_SUB = (0, 1), (2, 3, 7, 8, 9, 10, 11)
_WIDTHS = (8, 12, 8, 16, 30, 14, 26, 24, 30, 24, 12, 22)


def write(file: Path, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> tuple[int, str]:
    """Write a CSV; how many rows it has, and their hash."""
    file.parent.mkdir(parents=True, exist_ok=True)
    seen = files.Rows()
    with file.open("w", encoding="gb18030", newline="") as out:
        writer = csv.writer(out)
        writer.writerow([*heads, NOTE])
        for row in rows:
            seen.see(row)
            writer.writerow([*row, names.NOTICE])
    return seen.count, seen.digest.hexdigest()


def rows_of(item: Item) -> Iterator[tuple[str, ...]]:
    """The rows of an item in the table's twelve columns."""
    for one in item.conditions:
        yield (
            item.main,
            item.main_name,
            item.sub,
            item.name,
            one.text,
            f"{one.limit.value}{one.limit.clock}",
            one.closing,
            item.kept_by,
            "、".join(item.who),
            LAW,
            f"第{int(item.main) * 10 + int(item.sub)}条",
            "近景、远景照片各一张",
        )


def workbook(file: Path, items: Sequence[Item]) -> tuple[int, str]:
    """Write the table of items, a sheet of components and one of events; rows and their hash."""
    file.parent.mkdir(parents=True, exist_ok=True)
    seen = files.Rows()
    with xlsxwriter.Workbook(str(file)) as book:
        written = datetime.fromisoformat(files.WRITTEN)
        book.set_properties({"title": f"{names.CITY}事项清单", "comments": names.NOTICE, "created": written})
        plain = book.add_format({"border": 1, "text_wrap": True, "valign": "vcenter"})
        bold = book.add_format({"border": 1, "bold": True, "align": "center", "valign": "vcenter"})
        for sheet, own in groupby(items, key=lambda one: one.sheet):
            page = book.add_worksheet(sheet)
            title = f"{names.CITY}{sheet}立案、处置和结案标准({names.NOTICE}，样例)"
            page.merge_range(0, 0, 0, len(HEADS) - 1, title, bold)
            page.write_row(1, 0, HEADS, bold)
            for column, width in enumerate(_WIDTHS):
                page.set_column(column, column, width)
            row = 2
            for _, of_main in groupby(own, key=lambda one: one.main):
                first = row
                for item in of_main:
                    rows = list(rows_of(item))
                    for at, values in enumerate(rows):
                        seen.see((sheet, *values))
                        for column in range(len(HEADS)):
                            if column not in _BY_MAIN and column not in _BY_SUB:
                                page.write_string(row + at, column, values[column], plain)
                    _merged(page, row, len(rows), _BY_SUB, rows[0], plain)
                    row += len(rows)
                _merged(page, first, row - first, _BY_MAIN, rows[0], plain)
    return seen.count, seen.digest.hexdigest()


def _merged(
    page: xlsxwriter.worksheet.Worksheet,
    first: int,
    high: int,
    columns: Sequence[int],
    values: Sequence[str],
    form: xlsxwriter.format.Format,
) -> None:
    """One cell of so many rows in each of some columns."""
    for column in columns:
        if high == 1:
            page.write_string(first, column, values[column], form)
        else:
            page.merge_range(first, column, first + high - 1, column, values[column], form)
