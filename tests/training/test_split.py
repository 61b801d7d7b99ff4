"""What trains is older than what chooses, which is older than what judges; in every fold of the sweep too."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from training.conftest import changed

from tollgate.books import Book, load_book
from tollgate.config import Params, load_params
from tollgate.errors import BadInput
from tollgate.features import TableFile
from tollgate.training import assign, folds

# Matured as of 2007-01-01 within 24 months, in a window of 36: 2002-01 to 2004-12.
DAYS = [date(year, month, day) for year in (2002, 2003, 2004) for month in range(1, 13) for day in (1, 28)]


def snapshot(days: list[date] = DAYS) -> pa.Table:
    """One paid and one defaulted loan a day."""
    twice = [day for day in days for _ in range(2)]
    ids = [f"L{k}" for k in range(len(twice))]
    return pa.table({"loan_id": ids, "applied_on": twice, "label": pa.array([0, 1] * len(days), pa.int8()),
                     "applicant_id": [f"P{k}" for k in ids]})


def months(rows: pa.Table, part: pa.ChunkedArray, name: str) -> tuple[str, str]:
    """First and last month of a part."""
    found = sorted(day for day, is_of in zip(rows["applied_on"].to_pylist(), part.to_pylist(), strict=True)
                   if is_of == name)
    return f"{found[0]:%Y-%m}", f"{found[-1]:%Y-%m}"


def test_the_newest_months_judge_and_those_before_them_choose(book: Book, params: Params) -> None:
    rows = snapshot()
    split = assign(book, changed(params, split={"gap_months": 0}), rows)
    assert split["loan_id"].equals(rows["loan_id"])
    assert {part: months(rows, split["split"], part) for part in ("train", "validation", "test")} == {
        "train": ("2002-01", "2003-12"), "validation": ("2004-01", "2004-06"), "test": ("2004-07", "2004-12")}


def test_each_fold_validates_on_the_months_after_those_it_trains_on(book: Book, params: Params) -> None:
    rows = snapshot()
    seen = [(months(rows, fold, "train"), months(rows, fold, "validation"))
            for fold in folds(assign(book, changed(params, split={"gap_months": 0}), rows))]
    assert seen == [(("2002-01", "2002-12"), ("2003-01", "2003-06")),
                    (("2002-01", "2003-06"), ("2003-07", "2003-12")),
                    (("2002-01", "2003-12"), ("2004-01", "2004-06"))]


def test_calibration_has_months_of_its_own_between_validation_and_the_gap_before_the_test(
        book: Book, params: Params) -> None:
    rows, calibrated = snapshot(), {"train": {"calibration": "platt"}}
    split = assign(book, changed(params, split={"gap_months": 1, "calibration_months": 3, "folds": 2}, **calibrated),
                   rows)
    assert {part: months(rows, split["split"], part) for part in ("train", "validation", "calibration", "test")} == {
        "train": ("2002-01", "2003-07"), "validation": ("2003-09", "2004-02"), "calibration": ("2004-03", "2004-05"),
        "test": ("2004-07", "2004-12")}
    assert all(set(fold.to_pylist()) == {"train", "validation", "unseen"} for fold in folds(split))
    undated = assign(replace(book, dated=False), changed(params, split={"calibration_months": 3}, **calibrated), rows)
    parts = [part.as_py() for part in undated["split"]]
    assert min(parts.count(part) for part in ("train", "validation", "calibration", "test")) > 0
    assert parts.count("calibration") < parts.count("train")


@pytest.mark.parametrize("changes", [{"train": {"calibration": "platt"}}, {"split": {"calibration_months": 3}}])
def test_a_calibration_without_months_and_months_without_one_are_refused(
        params: Params, changes: dict[str, dict[str, object]]) -> None:
    with pytest.raises(BadInput, match="a calibration needs months of its own, and they it"):
        load_params(book=params.book, overrides=changes)


def test_a_gap_lies_before_every_validation_and_before_the_test(book: Book, params: Params) -> None:
    rows = snapshot()
    split = assign(book, changed(params, split={"gap_months": 2, "folds": 2}), rows)
    assert {part: months(rows, split["split"], part) for part in ("train", "validation", "test")} == {
        "train": ("2002-01", "2003-08"), "validation": ("2003-11", "2004-04"), "test": ("2004-07", "2004-12")}
    assert [(months(rows, fold, "train")[1], months(rows, fold, "validation")) for fold in folds(split)] == [
        ("2003-02", ("2003-05", "2003-10")), ("2003-08", ("2003-11", "2004-04"))]


@pytest.mark.parametrize("name", ["consumer", "card"])
def test_the_newest_fold_is_the_split_and_no_fold_sees_the_test(name: str, params: Params) -> None:
    split = assign(load_book(name), params, snapshot())
    parts, made = np.array(split["split"].to_pylist()), [np.array(fold.to_pylist()) for fold in folds(split)]
    assert len(made) == 3
    assert (made[-1][parts != "test"] == parts[parts != "test"]).all()
    assert all((fold[parts == "test"] == "unseen").all() for fold in made)


def test_the_folds_of_an_undated_book_validate_each_on_rows_of_its_own(params: Params) -> None:
    split = assign(load_book("card"), params, snapshot())
    validated = [np.array(fold.to_pylist()) == "validation" for fold in folds(split)]
    assert np.sum(validated, axis=0).max() == 1
    assert all(np.mean(part) == pytest.approx(1 / 6, abs=0.07) for part in validated)


def test_a_fold_without_a_past_to_learn_from_is_left_out(book: Book, params: Params) -> None:
    young = snapshot([day for day in DAYS if day >= date(2003, 7, 1)])
    assert len(folds(assign(book, params, young))) == 1
    assert len(folds(assign(book, changed(params, split={"validation_months": 2}), young))) == 3


@pytest.mark.parametrize("label", [0, 1])
def test_a_part_of_one_class_only_is_refused_by_its_name(book: Book, params: Params, label: int) -> None:
    rows = snapshot()
    last = np.array(rows["applied_on"].to_pylist()) >= date(2004, 7, 1)
    rows = rows.set_column(2, "label", pa.array(np.where(last, label, rows["label"].to_numpy()).astype(np.int8)))
    with pytest.raises(BadInput, match=f"test part of the split has 24 loans, of which {24 * label} defaulted.*widen"):
        assign(book, params, rows)


def with_applicants(rows: pa.Table, who: dict[int, str | None]) -> pa.Table:
    """The rows with other applicants at these places."""
    ids = [who.get(k, name) for k, name in enumerate(rows["applicant_id"].to_pylist())]
    return rows.set_column(3, "applicant_id", pa.array(ids, pa.string()))


def test_nobody_with_loans_in_two_parts_is_seen_but_in_the_later_one(book: Book, params: Params) -> None:
    rows = snapshot()
    plain = assign(book, changed(params, split={"gap_months": 0}), rows)["split"].to_pylist()
    first = {part: plain.index(part) for part in ("train", "validation", "test")}
    last = len(plain) - 1
    who = {first["train"]: "twice", first["test"]: "twice", first["validation"]: "thrice", first["train"] + 1: "thrice",
           last: "thrice", first["train"] + 2: "choosing", first["validation"] + 1: "choosing",
           first["train"] + 3: None, last - 1: None}
    split = assign(book, changed(params, split={"gap_months": 0}), with_applicants(rows, who))
    found = split["split"].to_pylist()
    assert [found[place] for place in who] == ["unseen", "test", "unseen", "unseen", "test", "unseen", "validation",
                                               "train", "test"]
    assert [part for place, part in enumerate(found) if place not in who] == [
        part for place, part in enumerate(plain) if place not in who]
    for fold in folds(split):
        sides = {part: {who.get(k, str(k)) for k, is_of in enumerate(fold.to_pylist()) if is_of == part}
                 for part in ("train", "validation")}
        assert sides["train"] & sides["validation"] <= {None}


def test_an_undated_book_keeps_a_persons_loans_together(book: Book, params: Params) -> None:
    rows = snapshot()
    who = {k: f"person {k // 4}" for k in range(rows.num_rows)}
    split = assign(replace(book, dated=False), params, with_applicants(rows, who))["split"].to_pylist()
    assert all(len(set(split[k:k + 4])) == 1 for k in range(0, len(split), 4))
    assert set(split) == {"train", "validation", "test"}


@pytest.mark.parametrize("dated", [True, False], ids=["dated", "undated"])
def test_rows_of_a_file_are_split_as_those_of_its_table(book: Book, params: Params, dated: bool,
                                                        tmp_path: Path) -> None:
    rows, of = snapshot(), replace(book, dated=dated)
    pq.write_table(rows, tmp_path / "rows.parquet", row_group_size=10)
    assert assign(of, params, TableFile.open(tmp_path / "rows.parquet")).equals(assign(of, params, rows))
