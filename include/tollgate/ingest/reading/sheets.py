"""What a workbook's own XML tells before it is unpacked into memory: bombs, formulas that nobody computed, errors."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from posixpath import join, normpath
from typing import IO
from xml.etree import ElementTree

from tollgate.ingest.reading.formats import CELL_BYTES, Unfit, Unreadable, check_unpacked
from tollgate.ingest.reading.landed import CHUNK, Landed

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PROTECTED = "EncryptedPackage".encode("utf-16-le")  # the stream that holds a workbook under a password
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
STRINGS = "xl/sharedStrings.xml"
CELL = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
TELLING = re.compile(rb'<(?:\w+:)?f[ >/]|\bt="e"')  # a formula, or an error
# What reading a damaged package, or one with a password, may raise.
DAMAGED = (zipfile.BadZipFile, zlib.error, ElementTree.ParseError, EOFError, KeyError, ValueError,
           NotImplementedError, RuntimeError)
OVERLAP = 64  # bytes, more than any of these takes
NO_ERRORS = {"#N/A"}  # which says what it means: nothing


class Packed:
    """A workbook that is a zip of XML."""

    def __init__(self, file: Landed, package: zipfile.ZipFile) -> None:
        self._file, self._package = file, package

    def check(self, name: str) -> None:
        """Look through one sheet.

        Raises:
            Unreadable: it would fill more memory than an honest file of its size.
            Unfit: a cell holds a formula without the value that it had, or an error.
        """
        part = self._part(name)
        rows = columns = cells = 0
        telling = False
        with self._package.open(part) as content:
            for chunk in _overlapping(content):
                found = CELL.findall(chunk)
                cells += len(found)
                if found:
                    columns = max(columns, *map(_number, {letters for letters, _ in found}))
                    rows = max(rows, max(int(row) for row in {row for _, row in found}))
                telling = telling or TELLING.search(chunk) is not None
        # A sheet is laid out whole, from its first cell to its last.
        check_unpacked(rows * columns * CELL_BYTES, self._file.size)
        self._check_strings(part, cells)
        if telling:
            self._check_cells(part)

    def _part(self, name: str) -> str:
        """Where in the package the XML of a sheet stands."""
        ids = {sheet.get("name"): sheet.get(RELATION) for sheet in self._xml("xl/workbook.xml")
               if _is(sheet, "sheet")}
        targets = {relation.get("Id"): relation.get("Target", "") for relation in
                   self._xml("xl/_rels/workbook.xml.rels")}
        target = targets.get(ids.get(name), "")
        part = target.removeprefix("/") if target.startswith("/") else normpath(join("xl", target))
        if part not in self._package.namelist():
            raise Unreadable(f"the sheet {name} is not in it")
        return part

    def _xml(self, part: str) -> Iterator[ElementTree.Element]:
        return ElementTree.fromstring(self._package.read(part)).iter()

    def _check_strings(self, part: str, cells: int) -> None:
        """Raise ``Unreadable`` where a few long texts, which the package holds once, would be laid out too often."""
        if STRINGS not in self._package.namelist() or self._is_little(self._package.getinfo(STRINGS).file_size * cells):
            return
        lengths = [len("".join(text.itertext())) for text in self._elements(STRINGS, "si")]
        if self._is_little(max(lengths, default=0) * cells):
            return
        shared = (_value(cell) for cell in self._elements(part, "c") if cell.get("t") == "s")
        check_unpacked(sum(lengths[int(at)] for at in shared if at and int(at) < len(lengths)), self._file.size)

    def _is_little(self, size: int) -> bool:
        try:
            check_unpacked(size, self._file.size)
        except Unreadable:
            return False
        return True

    def _check_cells(self, part: str) -> None:
        for cell in self._elements(part, "c"):
            value = _value(cell)
            if any(_is(part, "f") for part in cell) and value is None and cell.get("t") != "str":
                raise Unfit("formula_without_value", f"{self._file.name} has a formula whose value is not in the file",
                            value=cell.get("r"),
                            remedy="Whatever wrote it did not compute it: open it in a spreadsheet and save it, or ask "
                                   "the lender for values.")
            if cell.get("t") == "e" and value not in NO_ERRORS:
                raise Unfit("error_in_cell", f"{self._file.name} has an error in a cell: {value}",
                            value=cell.get("r"), remedy="Ask the lender for a workbook without errors in it.")

    def _elements(self, part: str, name: str) -> Iterator[ElementTree.Element]:
        """The elements of a name, each whole, and let go once it was looked at."""
        with self._package.open(part) as content:
            for _, element in ElementTree.iterparse(content):
                if _is(element, name):
                    yield element
                if _is(element, "row") or _is(element, "si"):
                    element.clear()


def check_packed(file: Landed) -> Packed:
    """Look at a workbook before it is opened.

    Raises:
        Unreadable: it is protected by a password, is no workbook, or unpacks beyond the limit.
    """
    head = file.open().read(len(OLE))
    if head == OLE:
        if PROTECTED in file.open().read():
            raise Unreadable("it is protected by a password")
        raise Unreadable("it is a workbook of the old format (.xls), to be saved as .xlsx")
    try:
        package = zipfile.ZipFile(file.open())
        check_unpacked(sum(member.file_size for member in package.infolist()), file.size)
        package.getinfo("xl/workbook.xml")
        return Packed(file, package)
    except DAMAGED as err:
        raise Unreadable("it is no workbook, or was damaged on its way") from err


def column_letters(at: int) -> str:
    """What a spreadsheet calls a column, by its index from 0."""
    letters = ""
    at += 1
    while at:
        at, digit = divmod(at - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return letters


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _overlapping(content: IO[bytes]) -> Iterator[bytes]:
    """The bytes in pieces, each with the end of the one before it."""
    tail = b""
    while chunk := content.read(CHUNK):
        yield tail + chunk
        tail = chunk[-OVERLAP:]


def _value(cell: ElementTree.Element) -> str | None:
    return next((part.text for part in cell if _is(part, "v")), None)


def _is(element: ElementTree.Element, name: str) -> bool:
    return element.tag.rpartition("}")[2] == name
