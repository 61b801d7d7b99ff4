"""Evidence is scored again from the artefacts: a number that somebody wrote into it refuses, whichever it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from tollgate.features import digest_of
from tollgate.gates import GATES

if TYPE_CHECKING:
    from tests.gates.conftest import Run

JUDGED_BY_SCORES = set(GATES) - {"behaviour", "data"}


@pytest.fixture
def compared(run: Run) -> Run:
    """The honest run against a champion and two former champions, all of them real models."""
    return run.against(run.beside(30), run.beside(10), run.beside(40))


def overwrite(run: Run, column: str, values: object) -> None:
    """Forge one column of the evidence; its digests stay."""
    rows = run.rows("evidence")
    run.forge(rows.set_column(rows.column_names.index(column), column, pa.array(values, rows[column].type)))


def test_an_honest_run_is_compared_with_its_champion_and_the_best_former_one(compared: Run) -> None:
    report = {verdict.gate: verdict for verdict in compared.report().verdicts}
    assert not [gate for gate, verdict in report.items() if verdict.verdict != "pass"]
    assert "of champion 9 on the same 9,000 loans" in report["champion"].sentence
    assert "of former champion 2 on the same 9,000 loans" in report["former_best"].sentence
    assert "Of the former champions 1, 2 it ranks the validation loans best." in report["former_best"].sentence


@pytest.mark.parametrize("column", ["score", "champion_score", "former_score", "baseline"])
def test_a_score_column_overwritten_with_one_half_refuses_and_is_named(compared: Run, column: str) -> None:
    rows = compared.rows("evidence")
    overwrite(compared, column, np.full(rows.num_rows, 0.5))
    found = compared.report()
    assert set(found.refusals) == JUDGED_BY_SCORES
    said = next(verdict.sentence for verdict in found.verdicts if verdict.gate == "auc")
    assert f"{column} differs for {rows.num_rows:,} of {rows.num_rows:,} loans" in said
    assert f"the first of them {rows['loan_id'][0]} (0.5 is saved, {rows[column][0]} computed)" in said


def test_one_score_off_by_its_last_bit_refuses(compared: Run) -> None:
    score = compared.rows("evidence")["champion_score"].to_numpy().copy()
    score[-1] = np.nextafter(score[-1], 1)
    overwrite(compared, "champion_score", score)
    assert "champion_score differs for 1 of " in compared.verdict("champion").sentence


@pytest.mark.parametrize("column", ["label", "sex", "applied_on"])
def test_a_label_a_group_or_a_day_that_the_features_do_not_have_refuses(compared: Run, column: str) -> None:
    values = compared.rows("evidence")[column].to_pylist()
    other = next(value for value in values if value != values[-1])
    overwrite(compared, column, [*values[:-1], other])
    assert f"{column} differs for 1 of " in compared.verdict("fairness").sentence


def test_evidence_with_its_hardest_loans_left_out_refuses(compared: Run) -> None:
    rows = compared.rows("evidence")
    compared.forge(rows.filter(pa.array((rows["label"].to_numpy() == 0) | (rows["score"].to_numpy() > 0.1))))
    assert "not about exactly the validation and test loans" in compared.verdict("auc").sentence


def test_a_weaker_model_in_the_champions_place_refuses_also_with_its_own_scores(compared: Run) -> None:
    forged = compared.against(compared.beside(5), *compared.former)  # champion.json names it too
    assert "of another champion digest" in replace(forged, champion=compared.champion).verdict("champion").sentence
    forged.edit("champion.json", digest=digest_of(compared.champion))
    assert "the scores of another champion" in forged.verdict("champion").sentence


def test_a_weaker_former_champion_in_the_place_of_the_best_refuses(compared: Run) -> None:
    whole = compared.rows("evidence")
    weaker, best = compared.former
    compared.against(compared.champion, weaker)  # as if the best of them had never been
    compared.edit("champion.json", former=[{"version": str(n), "digest": digest_of(folder)}
                                           for n, folder in enumerate((weaker, best), 1)])
    assert compared.rows("evidence")["former_score"] != whole["former_score"]
    assert "another former digest" in compared.verdict("former_best").sentence


def test_scorecard_points_that_are_no_numbers_refuse(run: Run) -> None:
    path = run.folder / "model" / "scorecard.json"
    path.write_text(path.read_text().replace('"intercept": ', '"intercept": NaN, "was": '))
    run = run.against(None)
    assert "scorecard gives predictions that are missing or no probability" in run.verdict("baseline").sentence


def test_without_former_champions_the_gate_has_nothing_to_judge_and_says_who_was_left_out(run: Run) -> None:
    run.edit("champion.json", left_out=[{"version": "4", "why": "its artefact is gone"}])
    found = run.verdict("former_best")
    assert found.verdict == "n/a"
    assert "Version 4 is left out: its artefact is gone." in found.sentence


def test_a_record_that_names_no_former_champions_at_all_refuses(run: Run) -> None:
    (run.folder / "champion.json").write_text('{"model": "consumer", "version": null, "digest": null}')
    found = run.verdict("former_best")
    assert found.verdict == "refuse"
    assert "does not tell unproven, former, left_out, looks" in found.sentence
