"""The docs say what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tollgate.books import load_book
from tollgate.books.page import render
from tollgate.config import PROJECT, SECTIONS, Params, known_books, read_params_file

DOCS = PROJECT / "docs"


def test_the_derived_pages_are_up_to_date(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(DOCS / "make.py"), str(tmp_path)], check=True)
    for page in sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.md")):
        assert (DOCS / page).read_text(encoding="utf-8") == (tmp_path / page).read_text(encoding="utf-8"), \
            f"docs/{page} is stale: run make docs"


def test_every_key_of_params_stands_on_its_page_with_range_default_and_meaning() -> None:
    shipped, page = read_params_file(PROJECT / "params.yaml"), (DOCS / "params.md").read_text(encoding="utf-8")
    defaults = {name: shipped[name] for name in Params.model_fields if name not in SECTIONS}
    defaults |= {f"{section}.{key}": value for section in SECTIONS if section != "space"
                 for key, value in shipped[section].items()}
    defaults |= {f"space.{kind}.{key}": f"{of['low']} to {of['high']}" + (", log" if of.get("log") else "")
                 for kind, space in shipped["space"].items() for key, of in space.items()}
    for name, value in defaults.items():
        cells = re.search(rf"^\| `{re.escape(name)}` \| (.+) \| (.+) \| (.+) \|$", page, re.MULTILINE)
        assert cells, f"{name} has no row, or no comment beside it in params.yaml"
        shown = "null" if value is None else str(value)
        assert cells[2] == (shown if name != "monitoring.rules" else "[the default rules](rules.md)")


def test_every_override_of_a_book_has_its_reason_beside_it() -> None:
    rows = re.findall(r"^\| `(books\.[\w.]+)` \| .+ \| (.*) \|$", (DOCS / "params.md").read_text(encoding="utf-8"),
                      re.MULTILINE)
    assert rows
    assert not [name for name, reason in rows if not reason.strip()]


@pytest.mark.parametrize("name", known_books())
def test_the_page_of_a_book_says_of_every_feature_when_it_is_known(name: str) -> None:
    page = (DOCS / "books" / f"{name}.md").read_text(encoding="utf-8")
    for feature in load_book(name).features:
        assert re.search(rf"^\| `{feature.name}` \|.*\| at the application \|", page, re.MULTILINE)


def test_the_page_of_a_book_names_the_features_that_it_retired() -> None:
    book = load_book("consumer")
    gone, *kept = book.features
    page = render(replace(book, features=tuple(kept), retired=(gone,)))
    assert f"Retired, and made for models in service alone: `{gone.name}`." in page
    assert "Retired" not in render(book)


def test_every_link_between_the_pages_leads_somewhere() -> None:
    broken = [f"{page.relative_to(PROJECT)}: {link}" for page in [PROJECT / "README.md", *DOCS.rglob("*.md")]
              for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
              if not (page.parent / link).exists()]
    assert not broken


def test_decision_pages_are_numbered_without_gaps_and_short() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [page.name[:3] for page in pages] == [f"{i:03d}" for i in range(1, len(pages) + 1)]
    assert not [page.name for page in pages if len(page.read_text(encoding="utf-8").splitlines()) > 25]


def test_the_page_of_exit_codes_lists_those_of_the_errors() -> None:
    from tollgate.errors import BadInput, PassingFault, Refused

    page = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    codes = {0, *(error.exit_code for error in (BadInput, Refused, PassingFault))}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == codes


def test_every_verb_that_the_pages_name_exists() -> None:
    from typer.main import get_command

    from tollgate.cli.app import app

    verbs: dict[str, Any] = get_command(app).commands
    for page in [PROJECT / "README.md", *DOCS.rglob("*.md")]:
        for first, second in re.findall(r"`tollgate ([a-z]+)(?: ([a-z]+))?", page.read_text(encoding="utf-8")):
            assert first in verbs, f"{page.name}: tollgate {first}"
            under = getattr(verbs[first], "commands", None)
            assert under is None or second in under, f"{page.name}: tollgate {first} {second}"


def test_the_page_of_data_tests_has_every_limit_with_its_default() -> None:
    page, shipped = (DOCS / "data-tests.md").read_text(encoding="utf-8"), read_params_file(PROJECT / "params.yaml")
    stated = {name: float(value) for name, value in re.findall(r"\| `(\w+)` \| ([\d.]+)", page)}
    assert stated == {name: value for name, value in shipped["ingest"].items()
                      if name not in ("bad_share_max", "history_months")}
