"""A book of one's own, outside the package: found, loaded, checked whole, with parameters of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from tollgate.books import book_files, load_book
from tollgate.config import PROJECT, finding, known_books, load_params, read_params_file
from tollgate.errors import BadInput
from tollgate.ingest import look

MORTGAGES = '''"""Mortgages of a lender of our own."""

from tollgate.books import Book, BookTable, Column, Event, Target, category, number
from tollgate.books import outcomes_table

ID = Column(name="loan_id", source="LOAN", kind="text", doc="Number of the loan.", nullable=False)
APPLICATIONS = (
    ID,
    Column(name="applied_on", source="APPLIED", kind="date", doc="Day of application.", nullable=False),
    Column(name="signed_on", source="SIGNED", kind="date", doc="Day of the signature."),
    Column(name="amount", source="AMOUNT", kind="money", doc="Amount asked for."),
    Column(name="purpose", source="PURPOSE", kind="text", doc="What for."),
    Column(name="name", source="NAME", kind="text", doc="Of the applicant.", personal=True, why="a name"),
)
OUTCOMES = (
    ID,
    Column(name="reported_on", source="REPORTED", kind="date", doc="Day of the report.", nullable=False),
    Column(name="defaulted_on", source="DEFAULTED", kind="date", doc="Day of the default."),
)

BOOK = Book(
    name="mortgages", title="Mortgages", about="Ours.", use="To decide.", limits=(),
    tables=(BookTable(name="applications", columns=APPLICATIONS, key=("loan_id",), told=("applied_on",)),
            outcomes_table(OUTCOMES)),
    all_booked=True,
    features=(number("amount"), category("purpose")),
    critical=("amount",),
)
'''

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Puts a file into the user's own folder of books."""
    folder = tmp_path / "books"
    folder.mkdir()
    monkeypatch.setenv("TOLLGATE_BOOKS", str(folder))

    def put(name: str = "mortgages.py", text: str = MORTGAGES) -> Path:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    yield put
    for module in [module for module in sys.modules if module.startswith(finding.OWN)]:
        del sys.modules[module]


def refusal(name: str = "mortgages") -> str:
    with pytest.raises(BadInput) as caught:
        load_book(name)
    return str(caught.value)


def test_a_module_in_the_users_folder_is_a_book_beside_the_shipped_ones(write: Write) -> None:
    write()
    write("_helpers.py", "")
    write("README.md", "no book")
    assert known_books() == ["card", "consumer", "instalment", "mortgages", "sba"]
    assert load_book("mortgages").title == "Mortgages"


def test_a_folder_is_a_book_whose_modules_and_shared_helpers_are_its_code(write: Write) -> None:
    write("_words.py", 'TITLE = "Mortgages of the north"\n')
    imports = "from .._words import TITLE\n\nID = Column"
    write("mortgages/__init__.py", MORTGAGES.replace("ID = Column", imports).replace('"Mortgages",', "TITLE,"))
    assert load_book("mortgages").title == "Mortgages of the north"
    before = book_files("mortgages")
    assert set(before) == {"_words.py", "mortgages/__init__.py"}
    write("_words.py", 'TITLE = "Others"\n')
    assert {name for name, sha in book_files("mortgages").items() if before[name] != sha} == {"_words.py"}


def test_an_installed_package_brings_a_book_by_its_entry_point(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    package = write()
    monkeypatch.setenv("TOLLGATE_BOOKS", str(package.parent / "none"))
    monkeypatch.syspath_prepend(str(package.parent))
    point = metadata.EntryPoint("mortgages", "mortgages:BOOK", finding.GROUP)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == finding.GROUP else [])
    finding._installed.cache_clear()
    try:
        assert "mortgages" in known_books()
        assert load_book("mortgages").title == "Mortgages"
        assert set(book_files("mortgages")) == {"mortgages.py"}
    finally:
        finding._installed.cache_clear()
        del sys.modules["mortgages"]


def test_a_book_that_was_removed_is_told_with_the_folder_to_which_it_must_come_back(write: Write) -> None:
    path = write()
    load_book("mortgages")
    path.unlink()
    said = refusal()
    assert "Unknown book (got: mortgages)" in said
    assert f"looked for in {path.parent}" in said and "must come back before its models can score" in said


def test_two_books_of_one_name_are_refused_with_both_places(write: Write) -> None:
    path = write("sba.py", MORTGAGES.replace('name="mortgages"', 'name="sba"'))
    said = refusal("sba")
    assert "There are two books called sba" in said
    assert str(path) in said and "shipped/sba.py" in said


@pytest.mark.parametrize(("text", "says"), [
    ("import nosuchmodule\n", "ModuleNotFoundError: No module named 'nosuchmodule' (got: mortgages.py line 1: import "
                              "nosuchmodule)"),
    ("x = 1\ny = x / 0\n", "ZeroDivisionError: division by zero (got: mortgages.py line 2: y = x / 0)"),
    ("BOOK = Book(\n", "SyntaxError: '(' was never closed"),
    ("BOOK = 3\n", "holds no Book called BOOK"),
    ("", "holds no Book called BOOK"),
    (MORTGAGES.replace('name="mortgages"', 'name="houses"'), "The book mortgages calls itself houses"),
])
def test_a_module_that_cannot_be_loaded_is_told_with_its_line(write: Write, text: str, says: str) -> None:
    write(text=text)
    assert says in refusal()


def test_every_fault_of_a_description_is_told_at_once_each_with_its_line(write: Write) -> None:
    text = MORTGAGES.replace('critical=("amount",)', 'critical=("amuont",)').replace(
        'source="PURPOSE"', 'source="AMOUNT"').replace('number("amount"), ', 'number("amount"), number("income"), ')
    path = write(text=text)
    lines = path.read_text().splitlines()
    said = refusal()
    assert "has 3 faults" in said
    for word, says in (("AMOUNT", "2 columns are read from the lender's AMOUNT"),
                       ("income", "the feature income: it uses income, applications have no such column"),
                       ("amuont", "critical: there is no feature amuont")):
        line = max(k for k, line in enumerate(lines, start=1) if f'"{word}"' in line)
        assert f"mortgages.py line {line}: " in said and says in said


@pytest.mark.parametrize(("old", "new", "says"), [
    ('category("purpose"))', 'category("purpose"), number("amount"))', "there are 2 called amount"),
    ('category("purpose")', 'number("purpose")', "it is a number and is made of texts (purpose)"),
    ('category("purpose")', 'category("amount")', "it is a category and is made of numbers (amount)"),
    ('category("purpose")', 'number("signed_on")', "is made of dates (signed_on); days_between makes"),
    ('category("purpose")', 'category("name")', "it uses name, which is personal"),
    ('name="purpose", source', 'name="label", source', "it uses purpose, applications have no such column"),
    ('told=("applied_on",)', 'told=("amount",)', "applications.told: amount is no date"),
    ('key=("loan_id",)', 'key=("number",)', "applications.key: there is no column number"),
    ('name="purpose", source', 'name="month", source', "the lake has a column of that name itself"),
    ("all_booked=True", "all_booked=False", "there is no table of decisions to say who was booked"),
    ('critical=("amount",)', 'critical=("amount",), time_zone="Mars/North"', "the IANA database has no 'Mars/North'"),
    ('critical=("amount",)', 'critical=("amount",), amount="purpose"',
     "the applications have no column purpose of money"),
    ('kind="money", doc="Amount asked for."', 'kind="money", isin=("1",), doc="Amount asked for."',
     "only text has a vocabulary"),
    ('name="applications"', 'name="loans"', "there is none called applications"),
    ('kind="money", doc', 'kind="euro", doc', "applications.amount: there is no kind euro; say one of text, integer"),
    ('kind="money", doc', 'kind="integer", ge=0.5, doc', "its bounds are not of its kind, integer"),
    ('kind="money", doc', 'kind="integer", le=10**20, doc', "its bounds are not of its kind, integer"),
    ('kind="money", doc', 'kind="money", le=float("inf"), doc', "its bounds are not of its kind, money"),
    ('kind="money", doc', 'kind="money", ge="5", doc', "its bounds are not of its kind, money"),
    ('kind="money", doc', 'kind="money", ge=5, le=1, doc', "no value is at least 5 and at most 1"),
    ('doc="What for."', 'doc="What for.", recode={1: "car"}', "applications.purpose: recode is from text to text"),
    ('doc="Day of the signature."', 'doc="Signed.", format="%Q"', "applications.signed_on: '%Q' reads no day"),
    ('key=("loan_id",)', 'key=("name",)', "applications.key: name is personal and dropped"),
    ('key=("loan_id",)', 'key=("loan_id")', "line 23: applications.key: 'loan_id' is a text, and must be a tuple"),
    ('doc="What for."', 'doc="What for.", isin=("car")', "applications.purpose.isin: 'car' is a text, and must be a"),
    ('critical=("amount",)', 'critical=["amount"]', "critical: is a list, and must be a tuple"),
    ('features=(number("amount"), category("purpose"))', 'features=[number("amount")]', "features: is a list"),
    ('features=(number("amount"),', 'features=("amount",', "features: holds 'amount', which is no Feature"),
    ('all_booked=True', 'all_booked=True, target=Target(bad=(Event(table="outcomes", on="defaulted_on", '
     'column="reported_on", isin=("Charged Off")),))', "target.bad.isin: 'Charged Off' is a text, and must be a tuple"),
])
def test_a_wrong_description_is_refused_when_it_is_loaded(write: Write, old: str, new: str, says: str) -> None:
    assert old in MORTGAGES
    write(text=MORTGAGES.replace(old, new))
    assert says in refusal()


def test_a_feature_called_like_a_column_of_a_run_is_refused(write: Write) -> None:
    write(text=MORTGAGES.replace('name="purpose", source', 'name="label", source').replace('"purpose")', '"label")'))
    assert "the feature label: a run has a column of that name itself" in refusal()


def test_its_parameters_stand_in_a_file_beside_it_(write: Write) -> None:
    write()
    assert load_params(book="mortgages").gates.auc_min == 0.82
    write("mortgages.yaml", "gates:\n  auc_min: 0.66\n")
    assert load_params(book="mortgages").gates.auc_min == 0.66
    write("mortgages.yaml", "gates:\n  auc_mni: 0.66\n")
    with pytest.raises(BadInput, match="gates.auc_mni"):
        load_params(book="mortgages")
    write("mortgages.yaml", "gate: {}\n")
    with pytest.raises(BadInput, match=r"mortgages.yaml: there is no section gate"):
        load_params(book="mortgages")


def test_values_in_both_places_are_refused(write: Write, tmp_path: Path) -> None:
    beside = write("mortgages.yaml", "gates: {}\n")
    write()
    raw = read_params_file(PROJECT / "params.yaml")
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({**raw, "books": {"mortgages": {"gates": {"auc_min": 0.7}}}}), encoding="utf-8")
    with pytest.raises(BadInput, match="stand in mortgages.yaml and in params.yaml: books.mortgages") as caught:
        load_params(path, book="mortgages")
    assert caught.value.value == beside


def test_a_book_that_is_wrong_does_not_stop_the_others_and_its_own_files_tell(write: Write, home: Path) -> None:
    write(text="BOOK = nothing\n")
    for name in ("mortgages", "card"):
        folder = home / "landing" / name
        folder.mkdir(parents=True)
        (folder / "applications_a.csv").write_text("ID\n1\n")
    assert [found["book"] for found in look()["files"]] == ["card", "mortgages"]
    with pytest.raises(BadInput, match=r"NameError: name 'nothing' is not defined .*mortgages.py line 1"):
        load_book("mortgages")
