"""How a text file is written: its encoding, delimiter and quotes, and the lines above the names of its columns."""

from __future__ import annotations

import codecs
import io
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tollgate.books.description.sources import Reader
from tollgate.errors import BadInput

LINES = 2_000  # of the head that are counted
EDGE = 10      # lines at both ends that the sniffer is not shown, for titles and totals mislead it
NUMBER_OR_DATE = set("0123456789.,-/:%$ ")
# Where several give the same letters, the first of these is named: the ones that people know.
FAMILIAR = ("latin-1", "cp1252", "cp1250", "iso8859-2", "cp1251")


@dataclass(frozen=True)
class Dialect:
    """How a text is written.

    Attributes:
        names: of the columns, as the file gives them or as they are counted. width: how many cells a row has.
        evidence: of each option that is not the default, why.
    """

    reader: Reader
    names: tuple[str, ...]
    width: int
    evidence: dict[str, str]


def encoding_of(head: bytes) -> tuple[str, str]:
    """The encoding of a text, as Python names it, and why it is not UTF-8; no reason where it is."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "the file begins with UTF-16's mark"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the head may end within a letter
        return "utf-8", ""
    except UnicodeDecodeError:
        pass
    from charset_normalizer import from_bytes

    best = from_bytes(head).best()
    names = {codecs.lookup(name).name for name in (best.could_be_from_charset if best else ["latin-1"])}
    name = next((name for name in FAMILIAR if codecs.lookup(name).name in names), sorted(names)[0])
    word = next((word for word in head.split() if not word.isascii()), b"").decode(name, errors="replace")
    return name, f"it is not UTF-8; read so, it has words such as {word.strip(',;')[-40:]!r}"


def dialect_of(head: str) -> Dialect:
    """Find out how the beginning of a text file is written.

    Raises:
        BadInput: no delimiter makes a table of it.
    """
    lines = head.splitlines(keepends=True)
    lines = lines[:-1][:LINES] if len(lines) > 2 else lines  # the last one may be cut
    edge = min(EDGE, len(lines) // 4)
    delimiter, quote = _sniffed("".join(lines[edge:len(lines) - edge]))
    reader = Reader(delimiter=delimiter, quote=quote)
    rows = list(reader.cells(lines))
    width = Counter(len(row) for row in rows if row).most_common(1)[0][0]
    above = next(k for k, row in enumerate(rows) if len(row) == width)
    skip_top = _line_number(lines, above, reader)
    evidence = {}
    if delimiter != ",":
        evidence["delimiter"] = f"with it, {sum(len(row) == width for row in rows):,} of {len(rows):,} lines have " \
                                f"{width} cells"
    if quote != '"':
        evidence["quote"] = "no cell stands in quotes"
    if above:
        evidence["skip_top"] = f"the file begins with {lines[0].strip()[:60]!r}"
    names = tuple(rows[above])  # blanks and all, as ingestion asks for them
    if not _are_names(names):
        names = tuple(f"column_{k}" for k in range(1, width + 1))
        evidence["names"] = "the first line is no line of names"
        return Dialect(replace(reader, skip_top=skip_top, names=names), names, width, evidence)
    return Dialect(replace(reader, skip_top=skip_top), names, width, evidence)


def width_of(line: str, reader: Reader) -> int:
    """How many cells a line has."""
    return len(next(reader.cells([line]), []))


def _sniffed(text: str) -> tuple[str, str]:
    """Delimiter and quote, as DuckDB's sniffer finds them."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.csv"
        path.write_text(text, encoding="utf-8")
        with duckdb.connect() as connection:
            try:
                found = connection.execute(
                    "SELECT Delimiter, Quote FROM "
                    "sniff_csv(?, all_varchar = true, sample_size = -1, strict_mode = false)",  # titles are not strict
                    [str(path)]).fetchone()
            except duckdb.Error:
                found = None
    if found is None:
        raise BadInput("No delimiter makes a table of the file", value=text.splitlines()[0][:80],
                       remedy="Give a file of rows with as many cells each, separated by a comma, a semicolon, a tab "
                              "or |.")
    delimiter, quote = found
    return delimiter, '"' if quote in ('"', "(empty)", "", "\0", None) else quote


def _line_number(lines: Sequence[str], rows: int, reader: Reader) -> int:
    """How many lines the first ``rows`` records take."""
    records = reader.cells(io.StringIO("".join(lines), newline=""))
    for _ in range(rows):
        next(records)
    return records.line_num


def _are_names(cells: Sequence[str]) -> bool:
    """Whether a line names columns: no cell is a number or a date."""
    return not any(cell and set(cell) <= NUMBER_OR_DATE for cell in cells)
