"""A sample of a lender's file, every cell as text, and how the file is written: found out, with the evidence."""

from __future__ import annotations

import gzip
import io
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from tollgate.books.description.sources import Progress, Reader
from tollgate.books.drafting.dialect import Dialect, dialect_of, encoding_of, width_of
from tollgate.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

HEAD_BYTES = 2**20          # of a text file, from which its dialect is found out
SAMPLE_BYTES = 48 * 2**20   # of text that is looked at; of a longer file every second line, or third, ...
SAMPLE_ROWS = 200_000       # of a file that knows how many rows it has
TAIL = 50                   # lines at the end among which the footer is looked for
PACKED = 6                  # times that gzip makes such text smaller
TEXT = (".csv", ".txt", ".tsv")
ENDINGS = (".csv", ".jsonl", ".parquet", ".xlsx")


@dataclass(frozen=True)
class Sample:
    """What was seen of a file.

    Attributes:
        reader: how it is written. evidence: of each of its options that is not the default, why.
        cells: text, trimmed, a column each under the lender's name; null only where the file itself has nulls.
        whole: whether these are all of its rows.
    """

    path: Path
    reader: Reader
    evidence: dict[str, str]
    cells: pa.Table
    whole: bool

    @property
    def said(self) -> str:
        """How many rows were seen, for a comment."""
        return f"{'the' if self.whole else 'a sample of'} {self.cells.num_rows:,} rows of {self.path.name}"


def read_sample(path: Path, progress: Progress) -> Sample:
    """Look at a file of any format that is taken in.

    Raises:
        BadInput: it is of another format, cannot be read, is empty or names a column twice.
    """
    name = path.name.lower().removesuffix(".gz")
    try:
        if name.endswith(TEXT):
            sample = _of_text(path, progress)
        elif name.endswith(".jsonl"):
            sample = _of_json_lines(path)
        elif name.endswith(".parquet"):
            sample = _of_parquet(path)
        elif name.endswith(".xlsx"):
            sample = _of_workbook(path)
        else:
            raise BadInput("A draft is made from files that end with " + ", ".join(ENDINGS), value=path.name,
                           remedy="Unpack it, or save it as one of these.")
    except (OSError, EOFError, ValueError) as err:  # Arrow's faults are among these
        raise BadInput(f"{path.name} cannot be read: {str(err).splitlines()[0]}", value=path,
                       remedy="Look at the file; ask the lender to send it again.") from err
    if not sample.cells.num_rows:
        raise BadInput("A draft needs rows to be made from, and the file has none", value=path,
                       remedy="Give a file with some thousand loans.")
    return sample


def _of_text(path: Path, progress: Progress) -> Sample:
    with _opened(path) as file:
        head = file.read(HEAD_BYTES)
    encoding, why = encoding_of(head)
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    if not text.strip():
        raise BadInput("The file is empty", value=path, remedy="Give a file with some thousand loans.")
    found = dialect_of(text)
    every = 1 + path.stat().st_size * (PACKED if path.name.endswith(".gz") else 1) // SAMPLE_BYTES
    body, tail = _lines(path, encoding, found.reader.skip_top, every, progress)
    footer = _footer(tail, found)
    table = _parsed(_without(body, footer), found, newlines=every == 1)
    reader, evidence = replace(found.reader, encoding=encoding, skip_bottom=len(footer)), dict(found.evidence)
    if why:
        evidence["encoding"] = why
    if footer:
        evidence["skip_bottom"] = f"the file ends with {footer[0].strip()[:60]!r}"
    return Sample(path, reader, evidence, _trimmed(table), every == 1)


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def _lines(path: Path, encoding: str, skip: int, every: int, progress: Progress) -> tuple[list[str], list[str]]:
    """The names of the columns and every so-many-th line after them; and the last lines that are not blank."""
    size = path.stat().st_size
    kept: list[str] = []
    tail: deque[str] = deque(maxlen=TAIL)
    with path.open("rb") as raw:
        unpacked = gzip.GzipFile(fileobj=raw) if path.name.lower().endswith(".gz") else raw
        for number, line in enumerate(io.TextIOWrapper(unpacked, encoding, errors="replace", newline="")):
            if number < skip:
                continue
            if line.strip():
                tail.append(line)
            if (number - skip) % every == 0:
                kept.append(line)
            if number % 10_000 == 0:
                progress(raw.tell(), size)
    progress(size, size)
    return kept, list(tail)


def _footer(tail: Sequence[str], found: Dialect) -> list[str]:
    """The lines at the end that have not as many cells as the others."""
    footer: list[str] = []
    for line in reversed(tail):
        if width_of(line, found.reader) == found.width or len(footer) == TAIL - 1:
            break
        footer.insert(0, line)
    return footer if len(footer) < TAIL // 2 else []


def _without(body: list[str], footer: list[str]) -> list[str]:
    """The lines without those of the footer, which a sample may not have kept."""
    last = len(body)
    while last and (not body[last - 1].strip() or body[last - 1] in footer):
        last -= 1
    return body[:last]


def _parsed(body: list[str], found: Dialect, newlines: bool) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    names = list(found.names)
    if not found.reader.names:
        body = body[1:]
    content = "".join(body).encode()
    if not content.strip():
        return pa.table({name: pa.array([], pa.string()) for name in names})
    return csv.read_csv(
        io.BytesIO(content), read_options=csv.ReadOptions(column_names=names, block_size=len(content) + 1),
        parse_options=csv.ParseOptions(delimiter=found.reader.delimiter, quote_char=found.reader.quote or False,
                                       newlines_in_values=newlines, invalid_row_handler=lambda row: "skip"),
        convert_options=csv.ConvertOptions(strings_can_be_null=False,
                                           column_types=dict.fromkeys(names, pa.string())))


def _of_json_lines(path: Path) -> Sample:
    """Numbers as they are spelled, and any type of cell in any line, as ingestion takes them."""
    import pyarrow as pa

    with _opened(path) as file:
        content, whole = file.read(SAMPLE_BYTES), not file.read(1)
    lines = content.decode("utf-8-sig", errors="replace").split("\n")
    rows = [row for line in (lines if whole else lines[:-1]) if (row := _object(line)) is not None]
    names = dict.fromkeys(name for row in rows for name in row)
    _check_flat(path, [name for name in names if any(isinstance(row.get(name), dict | list) for row in rows)])
    text = pa.table({name: pa.array([_as_text(row.get(name)) for row in rows], pa.string()) for name in names})
    return Sample(path, Reader(), {}, _trimmed(text), whole)


def _object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _as_text(cell: Any) -> str | None:
    return ("true" if cell else "false") if isinstance(cell, bool) else cell


def _of_parquet(path: Path) -> Sample:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    groups = file.num_row_groups
    step = 1 + file.metadata.num_rows // SAMPLE_ROWS
    some = pa.concat_tables([file.read_row_group(k) for k in range(0, groups, min(step, max(groups, 1)))]
                            or [file.schema_arrow.empty_table()])
    return _typed(path, some.slice(0, SAMPLE_ROWS), whole=min(some.num_rows, SAMPLE_ROWS) == file.metadata.num_rows)


def _typed(path: Path, rows: pa.Table, whole: bool) -> Sample:
    """Columns that have types of their own, as text."""
    import pyarrow as pa
    import pyarrow.types as pt

    _check_flat(path, [field.name for field in rows.schema if pt.is_nested(field.type)])
    text = pa.table({field.name: rows[field.name].cast(pa.string()) for field in rows.schema})
    return Sample(path, Reader(), {}, _trimmed(text), whole)


def _check_flat(path: Path, nested: Sequence[str]) -> None:
    if nested:
        raise BadInput(f"{path.name} has columns that hold more than one value a row", value=", ".join(nested),
                       remedy="A book's rows are flat: ask for them as a file of their own.")


def _of_workbook(path: Path) -> Sample:
    """The sheet with the most cells; titles above its names and totals below its rows are told by their width."""
    import pyarrow as pa
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(path)
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    except CalamineError as err:
        raise ValueError(f"it is no workbook, or was damaged on its way ({err})") from err
    sheet = max(sheets, key=lambda name: sum(len(row) for row in sheets[name]))
    rows = [[_spelled(cell) for cell in row] for row in sheets[sheet]]
    widths = [sum(bool(cell) for cell in row) for row in rows]
    top = next((k for k, width in enumerate(widths) if width == len(rows[k]) and width > 1),
               max(range(len(rows)), key=widths.__getitem__, default=0))
    # A total says something in few of the columns; a row in most of them.
    last = max((k for k, width in enumerate(widths) if width > max(1, widths[top] // 2)), default=top)
    names, body = (rows[top] if rows else []), [row for row in rows[top + 1:last + 1] if any(row)]
    below = sum(width > 0 for width in widths[last + 1:])
    evidence = {"sheet": f"its sheets are {', '.join(sheets)}; this one has the most cells"} if len(sheets) > 1 else {}
    evidence |= {"skip_top": f"the sheet begins with {' '.join(rows[0]).strip()[:60]!r}"} if top else {}
    evidence |= {"skip_bottom": f"the sheet ends with {' '.join(rows[last + 1]).strip()[:60]!r}"} if below else {}
    table = pa.table({name: pa.array([row[k] for row in body], pa.string()) for k, name in enumerate(_once(names))})
    return Sample(path, Reader(sheet=sheet if len(sheets) > 1 else "", skip_top=top, skip_bottom=below), evidence,
                  _trimmed(table), whole=True)


def _spelled(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _once(names: list[str]) -> Iterator[str]:
    for k, name in enumerate(names):
        if name in names[:k]:
            raise BadInput("A column is named twice", value=name, remedy="Rename one of them.")
        yield name


def _trimmed(table: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    list(_once(table.column_names))
    return table.from_arrays([pc.utf8_trim_whitespace(column.fill_null("")) for column in table.columns],
                             names=table.column_names)
