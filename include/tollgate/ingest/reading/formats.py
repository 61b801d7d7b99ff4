"""The formats that files come in, and how their bytes are opened: gzip under a limit, JSON lines cell by cell."""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from tollgate.errors import Refused
from tollgate.ingest.reading.landed import CHUNK, Landed

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ENDINGS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")
# Real extracts pack 5 to 30 times, gzip itself at most about 1,000 times: whoever packs more than 200 times into more
# than 64 MiB sends a bomb, or the same row over and over.
RATIO_MAX, RATIO_FROM = 200, 64 * 2**20
LINE_MAX = 16 * 2**20  # bytes of one row of text
BOM = b"\xef\xbb\xbf"


class Unreadable(Exception):
    """Bytes that are not what the file's name says."""


class Unfit(Refused):
    """A file that cannot be judged row by row; ``rule`` and ``column`` stand for it in the quarantine.

    ``received`` is how many rows it holds; 0 when that cannot be told.
    """

    def __init__(self, rule: str, cause: str, *, column: str | None = None, value: object = None, received: int = 0,
                 remedy: str = "Ask the lender for a file that fits the contract.") -> None:
        self.rule = rule
        self.column = column
        self.received = received
        super().__init__(cause, value=value, remedy=remedy)


def check_unpacked(size: int, packed: int) -> None:
    """Raise ``Unreadable`` when ``packed`` bytes unpack to a ``size`` that no honest file has."""
    limit = max(RATIO_FROM, RATIO_MAX * packed)
    if size > limit:
        raise Unreadable(f"it unpacks to more than {limit // 2**20:,} MiB")


def open_text(file: Landed) -> IO[bytes]:
    """The file's text from its beginning, unpacked as it is read.

    Reading raises ``Unreadable`` when the gzip is torn, is no gzip, or unpacks beyond the limit.
    """
    return io.BufferedReader(_Unpacked(file), CHUNK) if file.name.endswith(".gz") else file.open()


class _Unpacked(io.RawIOBase):
    """What was packed with gzip."""

    def __init__(self, file: Landed) -> None:
        self._stream = gzip.GzipFile(fileobj=file.open())
        self._packed, self._unpacked = file.size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            count = self._stream.readinto(buffer)
        except EOFError as err:
            raise Unreadable("its gzip stream breaks off") from err
        except (gzip.BadGzipFile, zlib.error) as err:
            raise Unreadable("it is not gzip, or was damaged on its way") from err
        self._unpacked += count
        check_unpacked(self._unpacked, self._packed)
        return count


def check_text(text: IO[bytes]) -> None:
    """Raise ``Unreadable`` for what is empty but for a byte order mark, UTF-16 or no text at all."""
    head = text.read(4096)
    block = head.removeprefix(BOM)
    while block.isspace():
        block = text.read(4096)
    if not block:
        raise Unreadable("it is empty")
    # Further down, a zero byte is one bad cell of a text file.
    if b"\0" in head.partition(b"\n")[0] or head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("it is UTF-16 or no text, not UTF-8")


Row = dict[str, str | None]


def read_json_lines(text: IO[bytes]) -> Iterator[Row | None]:
    """Every line that is not blank: its cells as they are spelled, or None when it is no flat JSON object.

    Raises:
        Unreadable: a line is longer than any row.
        UnicodeDecodeError: it is not UTF-8.
    """
    while line := text.readline(LINE_MAX + 1):
        if len(line) > LINE_MAX:
            raise Unreadable(f"a line of it is longer than {LINE_MAX // 2**20} MiB")
        if spelled := line.decode("utf-8-sig").strip():
            yield _flat_object(spelled)


def _flat_object(line: str) -> Row | None:
    """The object's cells as text; None when it is broken, is no object, has a key twice or a cell that is no scalar."""
    try:
        pairs = json.loads(line, object_pairs_hook=_Pairs, parse_int=str, parse_float=_float,
                           parse_constant=str)
        if not isinstance(pairs, _Pairs):
            return None
        row = {name: _spelled(cell) for name, cell in pairs}
        "".join([*row, *filter(None, row.values())]).encode()  # half of a surrogate pair is no text
    except (ValueError, TypeError, RecursionError):
        return None
    return row if len(row) == len(pairs) else None


def _float(number: str) -> str:
    """A number as it is spelled, with the sign of its exponent: a text ``1E5`` may be a code, a number is none."""
    return re.sub(r"[eE](?=\d)", "e+", number)


class _Pairs(list[tuple[str, Any]]):
    """An object's keys and cells, as they came."""


def _spelled(cell: object) -> str | None:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if cell is None or isinstance(cell, str):
        return cell
    raise TypeError("a cell is a scalar")
