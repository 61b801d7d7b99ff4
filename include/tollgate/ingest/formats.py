"""The formats that files come in, and how their bytes are opened: gzip under a limit, JSON lines cell by cell."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")
# A file is judged in memory. Real extracts pack 5 to 30 times, gzip itself at most about 1,000 times: whoever packs
# more than 200 times into more than 64 MiB sends a bomb, or the same row over and over.
UNPACKED_MAX = 2 * 2**30
RATIO_MAX, RATIO_FROM = 200, 64 * 2**20
CELL_BYTES = 8  # the least that a cell takes in memory


class Unreadable(Exception):
    """Bytes that are not what the file's name says."""


def unpack(content: bytes) -> bytes:
    """What was packed with gzip. Raises ``Unreadable`` when it is torn, is no gzip, or unpacks beyond the limit."""
    limit = min(UNPACKED_MAX, max(RATIO_FROM, RATIO_MAX * len(content)))
    try:
        with gzip.open(io.BytesIO(content)) as packed:
            unpacked = packed.read(limit + 1)
    except EOFError as err:
        raise Unreadable("its gzip stream breaks off") from err
    except (gzip.BadGzipFile, zlib.error) as err:
        raise Unreadable("it is not gzip, or was damaged on its way") from err
    if len(unpacked) > limit:
        raise Unreadable(f"it unpacks to more than {limit // 2**20:,} MiB")
    return unpacked


def check_text(content: bytes) -> None:
    """Raise ``Unreadable`` for what is empty, UTF-16 or no text at all."""
    if not content or content.isspace():
        raise Unreadable("it is empty")
    if b"\0" in content[:4096]:
        raise Unreadable("it is UTF-16 or no text, not UTF-8")


@dataclass(frozen=True)
class JsonLines:
    """One JSON object a line.

    Attributes:
        names: every key of any object, in the order of their coming.
        rows: the wanted ones as text, numbers as they were spelled; null where an object lacks the key.
        places: the place of each row among the lines that are not blank, from 1.
        malformed: places of the lines that are no flat JSON object.
    """

    names: list[str]
    rows: pa.Table
    places: list[int]
    malformed: list[int]


def read_json_lines(content: bytes, wanted: list[str]) -> JsonLines:
    """Take JSON lines in, every cell as it is spelled.

    Raises:
        Unreadable: no line is a JSON object.
        UnicodeDecodeError: it is not UTF-8.
    """
    import pyarrow as pa

    names: dict[str, None] = {}
    cells: dict[str, list[str | None]] = {name: [] for name in wanted}
    places: list[int] = []
    malformed: list[int] = []
    lines = (text for line in io.BytesIO(content) if (text := line.decode("utf-8-sig").strip()))
    for place, line in enumerate(lines, start=1):
        row = _flat_object(line)
        if row is None:
            malformed.append(place)
            continue
        places.append(place)
        names.update(dict.fromkeys(row))
        for name, column in cells.items():
            column.append(row.get(name))
    if not places:
        raise Unreadable("no line of it is a JSON object")
    return JsonLines(list(names), pa.table({name: pa.array(column, pa.string()) for name, column in cells.items()}),
                     places, malformed)


def _flat_object(line: str) -> dict[str, str | None] | None:
    """The object's cells as text; None when it is broken, is no object, has a key twice or a cell that is no scalar."""
    try:
        pairs = json.loads(line, object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str)
        if not isinstance(pairs, _Pairs):
            return None
        row = {name: _spelled(cell) for name, cell in pairs}
        "".join([*row, *filter(None, row.values())]).encode()  # half of a surrogate pair is no text
    except (ValueError, TypeError, RecursionError):
        return None
    return row if len(row) == len(pairs) else None


class _Pairs(list[tuple[str, Any]]):
    """An object's keys and cells, as they came."""


def _spelled(cell: object) -> str | None:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if cell is None or isinstance(cell, str):
        return cell
    raise TypeError("a cell is a scalar")
