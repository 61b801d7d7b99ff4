"""Workbooks as spreadsheets save them, written by hand, so that every cell can be as wrong as it is in the field."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
DAY_ZERO = date(1899, 12, 30)
STYLES = (f'<styleSheet xmlns="{MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
          '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
          '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>')


@dataclass(frozen=True)
class Formula:
    """A formula, and the value that was computed of it, if any was."""

    value: float | None


@dataclass(frozen=True)
class Error:
    """What a spreadsheet shows where it could not compute."""

    text: str


Cell = str | float | date | Formula | Error | None


def workbook(sheets: dict[str, Sequence[Sequence[Cell]]], merged: Sequence[str] = ()) -> bytes:
    """A workbook of some sheets; ``merged`` are ranges of the first, like ``A1:B1``."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        put = package.writestr
        parts = [f"/xl/worksheets/sheet{number}.xml" for number in range(1, len(sheets) + 1)]
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
        put("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType='
            f'"application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            + "".join(f'<Override PartName="{part}" ContentType="{kind}.worksheet+xml"/>' for part in parts)
            + "</Types>")
        put("_rels/.rels", relations([("officeDocument", "xl/workbook.xml")]))
        put("xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>' + "".join(
            f'<sheet name="{escape(name)}" sheetId="{number}" r:id="rId{number}"/>'
            for number, name in enumerate(sheets, start=1)) + "</sheets></workbook>")
        put("xl/_rels/workbook.xml.rels", relations([*(("worksheet", part) for part in parts),
                                                     ("styles", "styles.xml")]))
        put("xl/styles.xml", STYLES)
        for part, rows in zip(parts, sheets.values(), strict=True):
            last = (f'<mergeCells count="{len(merged)}">' + "".join(f'<mergeCell ref="{at}"/>' for at in merged)
                    + "</mergeCells>") if merged and part == parts[0] else ""
            put(part[1:], f'<worksheet xmlns="{MAIN}"><sheetData>{_rows(rows)}</sheetData>{last}</worksheet>')
    return out.getvalue()


def relations(targets: Sequence[tuple[str, str]]) -> str:
    return f'<Relationships xmlns="{PACKAGE}/relationships">' + "".join(
        f'<Relationship Id="rId{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, start=1)) + "</Relationships>"


def _rows(rows: Sequence[Sequence[Cell]]) -> str:
    return "".join(f'<row r="{number}">' + "".join(_cell(f"{chr(ord('A') + at)}{number}", cell)
                                                  for at, cell in enumerate(row)) + "</row>"
                   for number, row in enumerate(rows, start=1))


def _cell(at: str, cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f'<c r="{at}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
    if isinstance(cell, date):
        return f'<c r="{at}" s="1"><v>{(cell - DAY_ZERO).days}</v></c>'
    if isinstance(cell, Formula):
        return f'<c r="{at}"><f>1+1</f>' + ("" if cell.value is None else f"<v>{cell.value!r}</v>") + "</c>"
    if isinstance(cell, Error):
        return f'<c r="{at}" t="e"><v>{cell.text}</v></c>'
    return f'<c r="{at}"><v>{cell!r}</v></c>'
