"""Killed and racing runs: whatever happens to them, the tables are those of an undisturbed run."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ingest import apart

from tollgate import lake
from tollgate.books import Book
from tollgate.config import Ingest
from tollgate.ingest import ingest_file, new_files

Drop = Callable[..., str]
Loans = Callable[..., list[dict[str, str]]]
NAME = "applications_late.csv"


def digests(book: Book) -> dict[str, str]:
    """Every table that ingesting writes, byte for byte."""
    kinds = (lake.applications(book), lake.outcomes(book), lake.quarantine(book.name), lake.received(book.name))
    return {table.name: lake.digest(lake.read(table)) for table in kinds}


def on_disk(folder: Path) -> list[tuple[str, int]]:
    """Which folders hold files of how many bytes: all that a rerun can meet, without the lake's random names."""
    return sorted((str(path.parent.relative_to(folder)), path.stat().st_size)
                  for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def before(home: Path, sba: Book, limits: Ingest, loans: Loans, drop: Drop) -> Path:
    """Some loans are published, and the file that corrects two and brings a bad one is landed.

    The two tables that the file's row counts and bad rows go to are not there yet, so that the run makes them.
    """
    ingest_file(sba, drop(loans({"NoEmp": "1"}, {"NoEmp": "2"}, good=3)), limits)
    for table in ("quarantine", "received"):
        shutil.rmtree(home / "lake" / "sba" / table)
    drop(loans({"NoEmp": "22", "ApprovalDate": "1-Mar-06"}, {"State": "ZZ"}, good=2, start=2), NAME)
    return home


@pytest.fixture
def alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Turns to an empty lake in a local folder, with the same files in landing."""
    return lambda: monkeypatch.setenv("TOLLGATE_LAKE", str(home / "alone"))


@pytest.mark.parametrize(("target", "step", "killed_by"), [
    pytest.param(apart.take_and_die, 1, signal.SIGKILL, id="at every point", marks=pytest.mark.long),
    pytest.param(apart.take_and_die, 7, signal.SIGKILL, id="at every seventh point"),
    pytest.param(apart.take_until_a_file_is_as_long, 600, signal.SIGXFSZ, id="in the middle of every file"),
])
def test_a_killed_run_is_mended_by_the_next_one_byte_for_byte(
        target: Any, step: int, killed_by: int, before: Path, sba: Book, limits: Ingest,
        monkeypatch: pytest.MonkeyPatch) -> None:
    def again() -> Path:
        shutil.rmtree(before.parent / "again", ignore_errors=True)
        return Path(shutil.copytree(before, before.parent / "again"))

    monkeypatch.setenv("TOLLGATE_DATA", str(again()))
    ingest_file(sba, NAME, limits)
    undisturbed = digests(sba)
    kills, met = 0, []
    for point in range(step, 1000 * step, step):
        place = again()
        if (code := apart.ended(target, "sba", NAME, point)) == 0:
            break
        assert code == -killed_by
        kills += 1
        if (found := on_disk(place)) not in met:  # what a rerun does depends on nothing else
            met.append(found)
            ingest_file(sba, NAME, limits)
            assert digests(sba) == undisturbed, f"killed at {point}"
            assert new_files("sba") == [{"book": "sba", "name": "applications_2006-02.csv"}]
    else:
        pytest.fail("no run came to its end")
    assert digests(sba) == undisturbed
    assert kills >= len(met) > 3


@pytest.mark.parametrize("racers", [2, 8])
def test_racing_runs_of_one_file_take_it_in_once(anywhere: str, racers: int, sba: Book, limits: Ingest, loans: Loans,
                                                 drop: Drop, alone: Callable[[], None]) -> None:
    name = drop(loans({"State": "ZZ"}, {"NoEmp": "7"}, good=3))
    assert apart.race("sba", [name] * racers) == [0] * racers
    raced = digests(sba)
    assert lake.read(lake.received("sba"), columns=["received", "published", "quarantined"]).to_pylist() == [
        {"received": 5, "published": 4, "quarantined": 1}]
    alone()
    ingest_file(sba, name, limits)
    assert digests(sba) == raced


@pytest.mark.parametrize("racers", [2, 8])
def test_racing_files_of_one_partition_lose_and_repeat_nothing(anywhere: str, racers: int, sba: Book, limits: Ingest,
                                                               loans: Loans, drop: Drop,
                                                               alone: Callable[[], None]) -> None:
    names = [drop(loans({"State": "ZZ"}, good=2, start=3 * i), f"applications_{i}.csv") for i in range(racers)]
    assert apart.race("sba", names) == [0] * racers
    raced = digests(sba)
    assert lake.read(lake.applications(sba)).num_rows == 2 * racers
    assert lake.read(lake.quarantine("sba")).num_rows == racers
    order = lake.read(lake.deliveries("sba"))["file"].to_pylist()
    assert sorted(order) == sorted(names)
    alone()
    for name in order:
        ingest_file(sba, name, limits)
    assert digests(sba) == raced


def test_of_racing_files_with_one_loan_one_wins_whole(sba: Book, loans: Loans, drop: Drop) -> None:
    names = [drop(loans({"NoEmp": str(i), "CreateJob": str(i)}), f"applications_{i}.csv") for i in range(4)]
    assert apart.race("sba", names) == [0] * 4
    (loan,) = lake.view(lake.applications(sba)).to_pylist()
    last = lake.read(lake.deliveries("sba"))["file"].to_pylist()[-1]
    assert last == f"applications_{loan['employees']}.csv"
    assert loan["employees"] == loan["jobs_created"]
    assert lake.read(lake.received("sba"))["published"].to_pylist() == [1] * 4
