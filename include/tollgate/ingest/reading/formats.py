"""The formats that files come in, and how their bytes are opened: gzip under a limit, JSON lines cell by cell."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from typing import IO, TYPE_CHECKING

from tollgate.errors import Refused
from tollgate.ingest.reading.landed import CHUNK, Landed

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TEXT = (".csv", ".txt")
PACKED = (".gz", ".zip")
ENDINGS = (".csv", ".csv.gz", ".txt", ".txt.gz", ".jsonl", ".jsonl.gz", ".parquet", ".xlsx", ".zip")
# Real extracts pack 5 to 30 times, gzip itself at most about 1,000 times: whoever packs more than 200 times into more
# than 64 MiB sends a bomb, or the same row over and over.
RATIO_MAX, RATIO_FROM = 200, 64 * 2**20
CELL_BYTES = 8  # the least that a cell takes in memory
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


def open_text(file: Landed, encoding: str = "utf-8") -> IO[bytes]:
    """The file's text from its beginning as UTF-8, unpacked as it is read.

    Reading raises ``Unreadable`` when the gzip is torn, is no gzip, or unpacks beyond the limit, and where a byte is
    none of another encoding than UTF-8.
    """
    text = io.BufferedReader(_Unpacked(file), CHUNK) if file.name.endswith(".gz") else file.open()
    return text if codecs.lookup(encoding).name == "utf-8" else io.BufferedReader(_Recoded(text, encoding), CHUNK)


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


class _Recoded(io.RawIOBase):
    """A text of another encoding, as UTF-8."""

    def __init__(self, text: IO[bytes], encoding: str) -> None:
        self._text, self._encoding = text, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._left, self._line, self._last = b"", 1, ""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer)
        while not self._left:
            chunk = self._text.read(CHUNK)
            self._left = self._decoded(chunk).encode()
            if not chunk:
                break
        part, self._left = self._left[:len(room)], self._left[len(room):]
        room[:len(part)] = part
        return len(part)

    def _decoded(self, chunk: bytes) -> str:
        held = self._decoder.getstate()
        try:
            text = self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as err:
            self._decoder.setstate(held)
            before = self._decoder.decode(chunk[:max(0, err.start - len(held[0]))])
            raise Unreadable(f"line {self._line + self._ends(before)} holds what is not {self._encoding} "
                             f"(byte 0x{err.object[err.start]:02x})") from err
        self._line += self._ends(text)
        self._last = text[-1:] or self._last
        return text

    def _ends(self, text: str) -> int:
        """How many lines end in the text that comes next."""
        whole = (self._last if self._last == "\r" else "") + text
        return (whole.count("\n") + whole.count("\r") - whole.count("\r\n")) - (self._last == "\r")


def check_text(text: IO[bytes]) -> None:
    """Raise ``Unreadable`` for what is empty but for a byte order mark, UTF-16 or no text at all.

    Args:
        text: as ``open_text`` gives it, so that it is UTF-8 where the reader of its source is right.
    """
    head = text.read(4096)
    block = head.removeprefix(BOM)
    while block.isspace():
        block = text.read(4096)
    if not block:
        raise Unreadable("it is empty")
    # Further down, a zero byte is one bad cell of a text file.
    if b"\0" in head.partition(b"\n")[0] or head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("it is UTF-16 or no text, not UTF-8")
