"""Loading the module of a book; whatever is wrong in it is told with the line to change."""

from __future__ import annotations

import ast
import hashlib
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from tollgate.books.checking import Fault, faults_of
from tollgate.books.description.book import Book
from tollgate.config import OWN, FoundBook, find_book, settings
from tollgate.errors import BadInput, TollgateError


def load_book(name: str) -> Book:
    """The book called ``name``.

    Raises:
        BadInput: there is none of that name, or more than one; its module cannot be imported; its description is wrong:
            every fault, each with its line.
    """
    found = find_book(name)
    _make_own_package()
    known = found.module in sys.modules
    try:
        module = import_module(found.module)
    except TollgateError:
        raise
    except (Exception, SystemExit) as err:  # what was a script may end the process of whoever looks at the books
        raise BadInput(f"The book {name} cannot be loaded: {type(err).__name__}: {err}", value=_place(err, found),
                       remedy="Mend that line.") from err
    book = getattr(module, found.attribute, None)
    if not isinstance(book, Book):
        raise BadInput(f"The module of the book {name} holds no Book called {found.attribute}", value=found,
                       remedy=f"Let it end with {found.attribute} = Book(...).")
    if book.name != name:
        raise BadInput(f"The book {name} calls itself {book.name}", value=found,
                       remedy=f'Give it name="{name}", or its module the other name.')
    if not known and (faults := faults_of(book)):
        del sys.modules[found.module]  # it is checked when it is imported, and is not to pass at the second try
        raise _with_lines(faults, found)
    return book


def book_files(name: str) -> dict[str, str]:
    """The code of a book: the SHA-256 of each of its files, by a name that is the same on every machine.

    They are its module, or all modules of its folder, and the modules beside it whose names begin with ``_``.
    """
    found = find_book(name)
    path = _path(found)
    if path is None:
        return {}
    helpers = sorted(path.parent.glob("_[!_]*.py"))
    return {file.relative_to(path.parent).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in [*_files(found), *helpers]}


def _make_own_package() -> None:
    """The package that a user's books are modules of, so that they may share helpers: ``from . import _helpers``."""
    folder = str(settings().books)
    package = sys.modules.get(OWN)
    if package is None or package.__path__ != [folder]:
        for name in [name for name in sys.modules if name == OWN or name.startswith(f"{OWN}.")]:
            del sys.modules[name]
        package = sys.modules[OWN] = ModuleType(OWN)
        package.__path__ = [folder]


def _path(found: FoundBook) -> Path | None:
    if found.path is not None:
        return found.path
    spec = find_spec(found.module)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _files(found: FoundBook) -> list[Path]:
    path = _path(found)
    return [] if path is None else sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _with_lines(faults: list[Fault], found: FoundBook) -> BadInput:
    """One error for all faults, each with the line in which its word stands."""
    sources = [(path, path.read_text(encoding="utf-8")) for path in _files(found)]
    said = []
    for fault in faults:
        places = [f"{path.name} line {line}" for path, text in sources if (line := _line_of(text, fault.word))]
        said.append(f"{places[0]}: {fault.says}" if places else fault.says)
    count = f"{len(said)} faults" if len(said) > 1 else "a fault"
    return BadInput(f"The description of the book {found.name} has {count}: " + "; ".join(said), value=found,
                    remedy="Mend each of these lines.")


def _line_of(text: str, word: str) -> int | None:
    """The last line in which ``word`` is written as a text or a keyword: a name is used after it is given."""
    lines = [node.lineno for node in ast.walk(ast.parse(text))
             if (isinstance(node, ast.Constant) and node.value == word)
             or (isinstance(node, ast.keyword) and node.arg == word)]
    return max(lines, default=None)


def _place(err: BaseException, found: FoundBook) -> str:
    """The line of the book's own code that failed, as it is written."""
    own = {str(path) for path in _files(found)}
    if isinstance(err, SyntaxError) and err.filename in own:
        return f"{Path(err.filename).name} line {err.lineno}: {(err.text or '').strip()}"
    frames = [frame for frame in traceback.extract_tb(err.__traceback__) if frame.filename in own]
    return f"{Path(frames[-1].filename).name} line {frames[-1].lineno}: {frames[-1].line}" if frames else str(found)
