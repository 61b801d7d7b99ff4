"""Which lines of a CSV file are whole records, told by its quotes alone, block by block.

A quote that somebody forgot swallows every line up to the next one: what is then read as one row is made of two, with
the cells of everybody between them inside. So a record has one line. The lines of one that runs over several are told
apart here and never handed to a parser.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from tollgate.ingest.reading.formats import BOM, LINE_MAX, Unreadable
from tollgate.ingest.reading.raw import NO_SPANS

LF, CR = b"\n\r"


@dataclass(frozen=True)
class Lines:
    """Some lines of a file, in turn.

    Attributes:
        text: those that are whole records, blank ones left out.
        numbers: int64, which line of the file each of them is, from 1.
        spans: int64 of shape (n, 2), ascending: the first and the last line of every record that runs over several
            lines and ends among these.
    """

    text: bytes
    numbers: np.ndarray
    spans: np.ndarray


@dataclass(frozen=True)
class Marks:
    """The letters, a byte each, that part cells and quote them; no quote where nothing is one."""

    delimiter: bytes = b","
    quote: bytes = b'"'


def read_lines(text: IO[bytes], block_bytes: int, marks: Marks = Marks(), skip: int = 0) -> Iterator[Lines]:
    """All lines from the first, at most ``block_bytes`` at once. A quote that nobody closes runs to the last line.

    Args:
        skip: how many lines at the top are left out, quotes and all; within the first block.

    Raises:
        Unreadable: a line does not fit into a block.
    """
    line, since = skip + 1, 0  # the next line's number; that of the line whose quote is open, or 0
    blocks = _blocks(text, block_bytes)
    for block in blocks if not skip else _without_first(blocks, skip):
        data = np.frombuffer(block, np.uint8)
        stops = _stops(data, block)
        starts = np.concatenate([[0], stops[:-1]])
        kept = (data[starts] != LF) & (data[starts] != CR)
        numbers, spans = np.arange(line, line + len(stops)), NO_SPANS
        if marks.quote and (since or marks.quote in block):
            after = _open_after(data, stops, marks, inside=bool(since))
            before = np.concatenate([[bool(since)], after[:-1]])
            kept &= ~(before | after)
            first, last = numbers[after & ~before], numbers[before & ~after]
            if since:
                first = np.concatenate([[since], first])
            since = int(first[-1]) if after[-1] else 0
            spans = np.column_stack([first[:len(last)], last])
        line += len(stops)
        whole = block if kept.all() else data[np.repeat(kept, stops - starts)].tobytes()
        yield Lines(whole, numbers[kept], spans)
    if since:
        yield Lines(b"", np.empty(0, np.int64), np.array([[since, line - 1]]))


def first_line(text: bytes) -> tuple[bytes, bytes]:
    """A text's first line without its end, and the rest."""
    ends = [at for at in (text.find(b"\n"), text.find(b"\r")) if at >= 0]
    if not ends:
        return text, b""
    end = min(ends)
    return text[:end], text[end + (2 if text[end:end + 2] == b"\r\n" else 1):]


def skipped_at_top(text: IO[bytes], count: int) -> list[tuple[int, bytes]]:
    """The first lines of a text, blank ones and all, with their numbers."""
    rest, found = text.read(LINE_MAX).removeprefix(BOM), []
    for number in range(1, count + 1):
        line, rest = first_line(rest)
        found.append((number, line))
    return found


def without_last(lines: Iterator[Lines], count: int, skipped: list[tuple[int, bytes]]) -> Iterator[Lines]:
    """The same without the last ``count`` lines that are not blank, which are added to ``skipped`` with their numbers.

    A line of a record that runs over several is none of them: it is told apart, not skipped.
    """
    held: deque[tuple[int, bytes]] = deque()
    spoken = 0  # the last line of the last such record
    for block in lines:
        if len(block.spans):
            spoken = int(block.spans[-1, 1])
        numbers = block.numbers
        tail = _last(block.text, min(count, len(numbers)))
        body = block.text[:len(block.text) - sum(map(len, tail))]
        kept = len(numbers) - len(tail)
        ahead = [held.popleft() for _ in range(max(len(held) + len(tail) - count, 0))] if kept == 0 else list(held)
        if kept:
            held.clear()
        held.extend(zip(numbers[kept:].tolist(), tail, strict=True))
        yield Lines(b"".join(_ended(line) for _, line in ahead) + body,
                    np.concatenate([np.array([number for number, _ in ahead], np.int64), numbers[:kept]]), block.spans)
    rows = [(number, line) for number, line in held if number <= spoken]
    skipped += [(number, line) for number, line in held if number > spoken]
    if rows:
        yield Lines(b"".join(_ended(line) for _, line in rows), np.array([number for number, _ in rows], np.int64),
                    NO_SPANS)


def _last(text: bytes, count: int) -> list[bytes]:
    """The last lines of a text that has at least so many, each with its end."""
    found: list[bytes] = []
    end = len(text)
    for _ in range(count):
        body = text[:end].rstrip(b"\r\n")  # no line of it is blank
        begin = max(body.rfind(b"\n"), body.rfind(b"\r")) + 1
        found.append(text[begin:end])
        end = begin
    return found[::-1]


def _ended(line: bytes) -> bytes:
    return line if line.endswith((b"\n", b"\r")) else line + b"\n"


def _without_first(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The blocks without the first lines, all of which must lie in the first block."""
    rest = next(blocks, b"")
    for _ in range(count):
        _, rest = first_line(rest)
    if rest:
        yield rest
    yield from blocks


def _blocks(text: IO[bytes], most: int) -> Iterator[bytes]:
    """The text in pieces that end where a line does, a byte order mark left out."""
    rest = text.read(len(BOM)).removeprefix(BOM)
    while block := rest + text.read(most - len(rest)):
        if len(block) < most:
            yield block
            return
        # A carriage return at the very end may be half of a line's end.
        cut = max(block.rfind(b"\n"), block.rfind(b"\r", 0, -1)) + 1
        if not cut:
            raise Unreadable(f"a row of it is longer than {most:,} bytes")
        yield block[:cut]
        rest = block[cut:]


def _stops(data: np.ndarray, block: bytes) -> np.ndarray:
    """Where each line ends, its end included; the last may have none."""
    ends = np.flatnonzero(data == LF)
    if b"\r" in block:
        returns = np.flatnonzero(data == CR)
        alone = returns[np.append(data, 0)[returns + 1] != LF]
        if len(alone):
            ends = np.sort(np.concatenate([ends, alone]))
    stops = ends + 1
    return stops if len(stops) and stops[-1] == len(data) else np.append(stops, len(data))


def _open_after(data: np.ndarray, stops: np.ndarray, marks: Marks, *, inside: bool) -> np.ndarray:
    """Whether a quoted cell is open at each of ``stops``, when one is open (``inside``) or none before the data."""
    quotes = np.flatnonzero(data == ord(marks.quote))
    # As long as none is in mid-cell, every other one opens a cell.
    if _cannot_open(data, quotes[int(inside)::2], marks).any():
        quotes = np.delete(quotes, _in_mid_cell(quotes, _cannot_open(data, quotes, marks), inside=inside))
    return (np.searchsorted(quotes, stops) + inside) % 2 == 1


def _cannot_open(data: np.ndarray, quotes: np.ndarray, marks: Marks) -> np.ndarray:
    """Where a quote comes neither after a delimiter or a line's end, nor after a quote that it may open again."""
    before = data[quotes - 1]
    return ((quotes > 0) & (before != ord(marks.delimiter)) & (before != LF) & (before != CR)
            & (before != ord(marks.quote)))


def _in_mid_cell(quotes: np.ndarray, letters: np.ndarray, *, inside: bool) -> list[int]:
    """Indices of the quotes that neither open nor close a cell; ``letters`` tells those that cannot open one."""
    found: list[int] = []
    halves = np.ascontiguousarray(letters[0::2]), np.ascontiguousarray(letters[1::2])
    at = int(inside)  # of a quote that comes when no cell is open, as every other one from it on
    while at < len(quotes):
        ahead = halves[at % 2][at // 2:]
        first = int(ahead.argmax())
        if not ahead[first]:
            break
        at += 2 * first
        found.append(at)
        at += 1
        while at < len(quotes) and quotes[at] == quotes[at - 1] + 1:
            found.append(at)
            at += 1
    return found
