"""Reject inference through the stages: what is supposed of the declined trains, and nothing else sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from published import publish_sent
from training.conftest import changed

from tollgate import stages
from tollgate.books import Book, load_book
from tollgate.books.shipped import consumer
from tollgate.config import PROJECT, Params, load_params
from tollgate.features import digest_of

STEPS = ("snapshot", "features", "split", "train", "evaluate")


@pytest.fixture
def book(home: Path, settle: Callable[[Path], Path]) -> Book:
    """A lender that declined three in ten of its applicants in 2003 to 2006, some of whom came again."""
    settle(home)
    found = load_book("consumer")
    publish_sent(found, consumer.simulate(seed=4, rows_a_month=150, last_month="2006-12", declined=0.3))
    return found


def trained(run: Path, method: str, **train: float) -> Path:
    shipped = load_params(PROJECT / "params.yaml", book="consumer", as_of=date(2007, 1, 1))
    params: Params = changed(shipped, snapshot={"min_rows": 100, "min_defaults": 10}, sweep={"rounds_max": 20},
                             train={"reject_inference": method, **train})
    stages.pin(run, params)
    (run / "sweep.json").write_text(json.dumps({"best": {"params": {"max_depth": 3, "min_child_weight": 5}}}))
    for step in STEPS:
        stages.STAGES[step](run, params)
    return run


def test_what_is_supposed_of_the_declined_changes_the_model_and_no_row_that_judges(book: Book, tmp_path: Path) -> None:
    runs = {method: trained(tmp_path / method, method) for method in ("booked", "parcelling", "fuzzy", "weighted")}
    assert len({digest_of(run / "model") for run in runs.values()}) == 4
    sizes = {method: pq.read_metadata(run / "declined.parquet").num_rows for method, run in runs.items()}
    assert (sizes["booked"], sizes["weighted"]) == (0, 0)
    assert sizes["parcelling"] == sizes["fuzzy"] > 500
    judged = [pq.read_table(run / "evidence.parquet", columns=["loan_id", "split", "label"]) for run in runs.values()]
    assert all(rows.equals(judged[0], check_metadata=False) for rows in judged)
    declined = pq.read_table(runs["fuzzy"] / "declined.parquet")["loan_id"].combine_chunks()
    assert not pc.any(pc.is_in(judged[0]["loan_id"], value_set=declined)).as_py()
    again = trained(tmp_path / "again", "parcelling")
    assert digest_of(again / "model") == digest_of(runs["parcelling"] / "model")
    # Whoever was declined has an age too.
    fading = trained(tmp_path / "fading", "parcelling", half_life_months=6, default_weight=5.0)
    assert digest_of(fading / "model") != digest_of(again / "model")
