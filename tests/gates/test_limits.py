"""The limits that the fits of a book suggest: told, with what was measured, and never looser than they have to be."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tollgate.config import PROJECT, load_params
from tollgate.gates import suggested_limits

PARAMS = load_params(PROJECT / "params.yaml", book="consumer")


def verdict(gate: str, measured: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"gate": gate, "verdict": "pass", "measured": measured, "low": low, "high": high, "limit": 0, "sentence": ""}


def report(as_of: str, *verdicts: dict[str, Any]) -> dict[str, Any]:
    return {"book": "consumer", "as_of": as_of, "model_digest": as_of, "verdicts": list(verdicts)}


def limits(*reports: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {line["limit"]: line for line in suggested_limits(reports, PARAMS)["limits"]}


def test_a_value_below_its_limit_suggests_the_lower_end_of_its_interval_and_says_what_it_means() -> None:
    found = limits(report("2013-07-01", verdict("auc", 0.784, 0.7634, 0.808)))["auc_min"]
    assert (found["in force"], found["suggested"]) == (0.82, 0.76)
    assert found["measured"] == {"2013-07-01": "0.784 (0.763 to 0.808)"}
    assert "such a model is refused: the columns tell less of this book's outcome" in found["means"]


@pytest.mark.parametrize(("gate", "measured", "low", "high", "key", "suggested"), [
    ("auc", 0.84, 0.80, 0.88, "auc_min", 0.82),                       # it passes: no looser limit for a wide interval
    ("auc", 0.90, 0.88, 0.92, "auc_min", 0.88),                       # it passes by far: a stricter one
    ("false_negatives", 0.20, 0.151, 0.243, "false_negative_max", 0.25),
    ("calibration", 0.005, 0.003, 0.008, "calibration_gap_max", 0.01),
    ("fairness", 0.14, 0.11, 0.18, "parity_gap_max", 0.10),           # what is fair is not measured
    ("fairness", 0.01, 0.00, 0.02, "parity_gap_max", 0.02),
])
def test_a_limit_moves_as_far_as_was_measured_and_fairness_only_becomes_stricter(
        gate: str, measured: float, low: float, high: float, key: str, suggested: float) -> None:
    assert limits(report("2013-07-01", verdict(gate, measured, low, high)))[key]["suggested"] == suggested


def test_of_several_fits_the_weakest_decides_and_each_is_shown_once() -> None:
    first, second = (report(day, verdict("auc", auc, auc - 0.02, auc + 0.02))
                     for day, auc in (("2013-07-01", 0.79), ("2014-07-01", 0.77)))
    found = suggested_limits([second, first, second], PARAMS)
    assert found["as_ofs"] == ["2013-07-01", "2014-07-01"]
    assert found["limits"][0]["suggested"] == 0.75
    assert list(found["limits"][0]["measured"]) == ["2013-07-01", "2014-07-01"]


def test_the_block_to_paste_is_yaml_that_the_parameters_take_with_the_evidence_beside_it() -> None:
    fit = report("2013-07-01", verdict("auc", 0.784, 0.7634, 0.808), verdict("ks", 0.31, 0.29, 0.33),
                 verdict("baseline", 0.009, 0.001, 0.02))
    found = suggested_limits([fit], PARAMS)
    assert yaml.safe_load(found["params"]) == {"gates": {"auc_min": 0.76}}
    assert "# 0.784 (0.763 to 0.808); 0.82 before" in found["params"]
    assert found["scorecard"] == ["2013-07-01: AUC 0.784, of the scorecard 0.775"]
    load_params(PROJECT / "params.yaml", book="consumer", overrides=yaml.safe_load(found["params"]))


def test_a_gate_that_measured_nothing_suggests_nothing() -> None:
    found = suggested_limits([report("2013-07-01", verdict("auc", None), verdict("fairness", None))], PARAMS)
    assert (found["limits"], found["params"], found["scorecard"]) == ([], "", [])
