"""Gates fail closed: evidence that is not there, not readable or not about this model refuses, gate by gate."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from tollgate import stages
from tollgate.config import load_params
from tollgate.errors import BadInput
from tollgate.gates import GATES, performance, run_gates
from tollgate.gates.evidence import Case
from tollgate.gates.run import CHECKS

if TYPE_CHECKING:
    from tests.gates.conftest import Run

NEED_EVIDENCE = set(GATES) - {"champion", "former_best", "swap_set", "behaviour", "data"}  # without any champion


def refusals(run: Run) -> dict[str, str]:
    return {v.gate: v.sentence for v in run.report().verdicts if v.verdict == "refuse"}


def test_missing_evidence_refuses_every_gate_that_needs_it(run: Run) -> None:
    (run.folder / "evidence.parquet").unlink()
    found = refusals(run)
    assert set(found) == NEED_EVIDENCE
    assert all("evidence.parquet is missing" in sentence for sentence in found.values())


def test_truncated_evidence_refuses(run: Run) -> None:
    path = run.folder / "evidence.parquet"
    path.write_bytes(path.read_bytes()[:-1_000])
    found = refusals(run)
    assert set(found) == NEED_EVIDENCE
    assert all("evidence.parquet cannot be read" in sentence for sentence in found.values())


def test_evidence_of_another_model_refuses_as_stale(run: Run) -> None:
    run.edit("model/model.json", seed=2)
    found = refusals(run)
    assert set(found) == NEED_EVIDENCE
    assert all("is stale" in sentence and "Run the evaluate stage again" in sentence for sentence in found.values())


def test_evidence_of_no_known_model_refuses(run: Run) -> None:
    run.forge(run.rows("evidence").replace_schema_metadata(None))
    assert "made by the model of no name" in run.verdict("auc").sentence


def test_a_model_of_another_book_refuses(run: Run) -> None:
    run.edit("model/model.json", book="card")
    run.sign()
    found = refusals(run)
    assert set(found) > NEED_EVIDENCE
    assert all("another book than consumer" in found[gate] for gate in NEED_EVIDENCE)


def test_a_run_judged_as_another_book_refuses(good: Run) -> None:
    found = replace(good, params=load_params(book="sba", as_of=good.params.as_of)).verdict("auc")
    assert found.verdict == "refuse"
    assert "another book than sba" in found.sentence


@pytest.mark.parametrize(("column", "values", "words"), [
    ("score", lambda old: np.where(np.arange(len(old)) % 99 == 0, 1.5, old), "no probability"),
    ("score", lambda old: np.where(np.arange(len(old)) % 99 == 0, np.nan, old), "no probability"),
    ("score", lambda old: [None, *old[1:-1], None], "without a label or a score"),
    ("label", lambda old: np.full(len(old), 2, dtype=np.int8), "labels other than 0 and 1"),
    ("label", lambda old: np.zeros(len(old), dtype=np.int8), "fewer than two defaults"),
    ("loan_id", lambda old: [old[-1]] * len(old), "names a test loan twice"),
    ("split", lambda old: ["validation"] * len(old), "has no test rows"),
])
def test_predictions_that_mean_nothing_refuse(run: Run, column: str, values: object, words: str) -> None:
    rows = run.rows("evidence")
    old = rows[column].to_numpy(zero_copy_only=False)
    new = pa.array(values(old), rows[column].type)  # type: ignore[operator]
    run.write("evidence", rows.set_column(rows.column_names.index(column), column, new))
    assert words in run.verdict("auc").sentence


def test_evidence_without_a_protected_column_refuses(run: Run) -> None:
    run.forge(run.rows("evidence").drop_columns(["sex"]))
    assert "lacks the columns sex" in run.verdict("fairness").sentence


@pytest.mark.parametrize("name", ["features.parquet", "split.parquet", "snapshot.parquet", "snapshot.json",
                                  "champion.json"])
def test_each_missing_file_refuses_only_the_gates_that_need_it(run: Run, name: str) -> None:
    (run.folder / name).unlink()
    found = refusals(run)
    needed_by = {"champion.json": {"champion", "former_best", "swap_set"}, "snapshot.json": {"data"},
                 "snapshot.parquet": {"behaviour", "leakage", "data"}}
    assert set(found) == needed_by.get(name, {*NEED_EVIDENCE, "behaviour", "data"})
    assert all(f"{name} is missing" in sentence for sentence in found.values())


@pytest.mark.parametrize(("content", "words"), [
    ("{}", "does not say which version is the champion"),
    ('{"model": "sba", "version": null}', "of another book than consumer .got: sba")])
def test_a_record_that_does_not_say_that_there_is_no_champion_refuses(run: Run, content: str, words: str) -> None:
    (run.folder / "champion.json").write_text(content)
    found = run.verdict("champion")
    assert found.verdict == "refuse"
    assert re.search(words, found.sentence)


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_torn_json_file_refuses(run: Run, content: str) -> None:
    (run.folder / "champion.json").write_text(content, encoding="latin-1")
    found = run.verdict("champion")
    assert found.verdict == "refuse"
    assert "champion.json" in found.sentence


@pytest.mark.parametrize(("content", "words"), [
    ("{", r"champion\.json cannot be read as JSON.*dvc repro"),
    ("[]", r"champion\.json does not tell version, unproven, former.*Open the run again"),
    ('{"model": "consumer", "version": null, "digest": null}', r"does not tell unproven, former.*Open the run again")])
def test_a_stage_that_compares_names_a_torn_record_of_the_champion_and_the_remedy(run: Run, content: str, words: str,
                                                                                   ) -> None:
    (run.folder / "champion.json").write_text(content)
    for stage in (stages.evaluate, stages.gate):
        with pytest.raises(BadInput, match=words):
            stage(run.folder, run.params)


def test_a_torn_booster_refuses_without_naming_the_machines_folders(run: Run) -> None:
    (run.folder / "model" / "model.ubj").write_bytes(b"torn")
    run.sign()
    found = refusals(run)
    assert set(found) == {*NEED_EVIDENCE, "behaviour"}
    assert not [told for told in found.values() if str(run.folder) in told or re.search(r"\d\d:\d\d:\d\d", told)]


def test_a_fault_inside_one_gate_refuses_that_gate_and_the_others_still_judge(
        good: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(case: Case) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(CHECKS, "ks", broken)
    report = good.report()
    assert report.refusals == ["ks"]
    assert "The gate could not finish: ZeroDivisionError: division by zero" in report.verdicts[1].sentence
    assert report.verdicts[0] == performance.auc(Case(good.folder, good.params))


def test_an_empty_folder_refuses_everything(tmp_path: Path, consumer_params: object) -> None:
    report = run_gates(tmp_path, consumer_params)  # type: ignore[arg-type]
    assert report.refusals == list(GATES)


def test_a_book_that_does_not_exist_is_the_callers_mistake(good: Run) -> None:
    with pytest.raises(BadInput, match="Unknown book"):
        run_gates(good.folder, good.params.model_copy(update={"book": "piggy"}))
