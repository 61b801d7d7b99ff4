"""A malformed params.yaml is refused with its key, the value and what to do, before anything runs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml

from tollgate.config import PROJECT, known_books, load_params, read_params_file
from tollgate.errors import BadInput

SHIPPED = read_params_file(PROJECT / "params.yaml")
Change = Callable[[dict[str, Any]], None]


def put(dotted: str, value: object) -> Change:
    """Set one key of the raw file."""

    def change(raw: dict[str, Any]) -> None:
        *path, last = dotted.split(".")
        for part in path:
            raw = raw[part]
        raw[last] = value

    return change


def drop(dotted: str) -> Change:
    """Remove one key of the raw file."""

    def change(raw: dict[str, Any]) -> None:
        *path, last = dotted.split(".")
        for part in path:
            raw = raw[part]
        del raw[last]

    return change


def refusal(path: Path) -> BadInput:
    with pytest.raises(BadInput) as caught:
        load_params(path)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    assert "Traceback" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(("change", "key", "value"), [
    pytest.param(put("gates.auc_mni", 0.8), "gates.auc_mni", "0.8", id="an unknown key in a section"),
    pytest.param(put("colour", "red"), "colour", "red", id="an unknown key at the top"),
    pytest.param(put("books.sba.gates.auc_mni", 0.8), "gates.auc_mni", "0.8", id="an unknown key in a book's block"),
    pytest.param(put("sweep.trials", "many"), "sweep.trials", "many", id="text for a number"),
    pytest.param(put("sweep.trials", 1.5), "sweep.trials", "1.5", id="a fraction for a whole number"),
    pytest.param(put("sweep.trials", True), "sweep.trials", "True", id="true for a whole number"),
    pytest.param(put("sweep.trials", "12"), "sweep.trials", "12", id="a quoted number"),
    pytest.param(put("seed", True), "seed", "True", id="true for the seed"),
    pytest.param(put("sweep.trials", 0), "sweep.trials", "0", id="no trials"),
    pytest.param(put("sweep.trials", None), "sweep.trials", "", id="an empty value"),
    pytest.param(put("gates.parity_gap_max", 30), "gates.parity_gap_max", "30", id="a percentage for a share"),
    pytest.param(put("gates.parity_gap_max", float("nan")), "gates.parity_gap_max", "nan", id="not a number"),
    pytest.param(put("monitoring.confidence", -0.25), "monitoring.confidence", "-0.25", id="a negative level"),
    pytest.param(put("monitoring.rules", []), "monitoring.rules", "[]", id="no rule at all"),
    pytest.param(put("monitoring.rules", {}), "monitoring.rules", "{}", id="rules that are no list"),
    pytest.param(put("books.sba.gates.auc_min", 70), "gates.auc_min", "70", id="an override out of range"),
    pytest.param(put("gates.approval_min", 1.0), "gates", "'approval_min': 1.0",
                 id="bounds of the approval rate that nothing is between"),
    pytest.param(put("train.default_weight", 0), "train.default_weight", "0", id="defaults that count nothing"),
    pytest.param(put("train.default_weight", float("inf")), "train.default_weight", "inf",
                 id="defaults that count for ever"),
    pytest.param(put("train.half_life_months", -6), "train.half_life_months", "-6", id="a half-life backwards"),
    pytest.param(put("train.selection", "boruta"), "train.selection", "boruta", id="a selection that is not"),
    pytest.param(put("train.selection_share", 0.5), "train.selection_share", "0.5",
                 id="a share of halves that luck reaches"),
    pytest.param(put("as_of", date(2007, 1, 1)), "as_of: a date stands in quotes", "2007-01-01",
                 id="a date without quotes"),
    pytest.param(put("as_of", "2007-13-01"), "as_of", "2007-13-01", id="a month that is not"),
    pytest.param(put("seed", -1), "seed", "-1", id="a negative seed"),
    pytest.param(put("gates", 3), "gates", "3", id="a number for a section"),
    pytest.param(put("gates", None), "gates", "", id="an empty section"),
    pytest.param(drop("gates"), "gates", "", id="a missing section"),
    pytest.param(drop("gates.auc_min"), "consumer", "", id="a missing key"),
    pytest.param(drop("as_of"), "as_of", "", id="no as-of"),
    pytest.param(put("books.sba.gates", None), "books.sba.gates", "", id="an empty section of a book's block"),
    pytest.param(put("books.sba.gate", {}), "books.sba", "gate", id="a section of a book's block that is none"),
    pytest.param(put("books.sba", 3), "books.sba", "3", id="a number for a book's block"),
    pytest.param(put("books.mortgages", {}), "books.mortgages", "mortgages", id="a block of no book"),
    pytest.param(put("schedules.sba.train_daily", "0 3 * * *"), "schedules.sba.train_daily", "0 3 * * *",
                 id="a cron of no DAG"),
    pytest.param(put("schedules.sba.train_weekly", 3), "schedules.sba.train_weekly", "3", id="a number for a cron"),
    pytest.param(put("schedules", ["sba"]), "schedules", "sba", id="a list of scheduled books"),
    pytest.param(put("books", ["sba"]), "books", "sba", id="a list of books"),
])
def test_a_malformed_file_is_refused_by_key_and_value(tmp_path: Path, change: Change, key: str, value: str) -> None:
    raw = copy.deepcopy(SHIPPED)
    change(raw)
    if key == "consumer":  # its block does not override the key that was dropped
        raw["book"], key = "consumer", "gates.auc_min"
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    error = refusal(path)
    assert key in error.cause
    assert "params.yaml" in error.cause
    assert value in str(error.value)


@pytest.mark.parametrize("book", ["mortgages", "", None, 3, "base", "_wheel"])
def test_an_unknown_book_is_refused_with_the_known_ones(tmp_path: Path, book: object) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({**SHIPPED, "book": book}), encoding="utf-8")
    error = refusal(path)
    assert error.value == book
    assert all(name in error.remedy for name in known_books())


@pytest.mark.parametrize("text", ["book: [sba\n", "\tbook: sba\n", "gates: {auc_min: 0.8\nbook: sba\n"])
def test_a_file_that_is_not_yaml_is_refused_with_the_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    assert "line" in str(refusal(path).value)


@pytest.mark.parametrize(("once", "twice", "line"), [
    ("seed: ", "seed: 1\nseed: ", "the key seed stands twice"),
    ("  auc_min: 0.82", "  auc_min: 0.90\n  auc_min: 0.82", "the key auc_min stands twice")])
def test_a_key_that_stands_twice_is_refused_as_dvc_refuses_it_and_no_limit_counts_in_silence(
        tmp_path: Path, once: str, twice: str, line: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text((PROJECT / "params.yaml").read_text(encoding="utf-8").replace(once, twice, 1), encoding="utf-8")
    with pytest.raises(YAMLFileCorruptedError):
        load_yaml(str(path))
    assert line in str(refusal(path).value)


@pytest.mark.parametrize("text", ["", "- sba\n", "sba\n"])
def test_a_file_that_holds_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    assert "mapping" in refusal(path).cause


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"book: \xff\xfe\n")
    refusal(path)


def test_a_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    assert refusal(tmp_path / "params.yaml").value == tmp_path / "params.yaml"


@pytest.mark.parametrize("book", known_books())
def test_the_shipped_file_is_good_for_every_book(book: str) -> None:
    params = load_params(PROJECT / "params.yaml", book=book)
    assert params.book == book


@pytest.mark.parametrize("change", [drop("books.sba.gates"), drop("books.sba"), drop("books")])
def test_what_a_book_leaves_out_is_the_default(tmp_path: Path, change: Change) -> None:
    raw = copy.deepcopy(SHIPPED)
    change(raw)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert load_params(path, book="sba").gates.auc_min == SHIPPED["gates"]["auc_min"]


def test_a_book_overrides_a_default_and_leaves_the_rest(tmp_path: Path) -> None:
    raw = copy.deepcopy(SHIPPED)
    raw["books"]["sba"]["gates"] = {"auc_min": 0.61}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    gates = load_params(path, book="sba").gates
    assert gates.auc_min == 0.61
    assert gates.ks_min == SHIPPED["gates"]["ks_min"]
    assert load_params(path, book="card").gates.auc_min != 0.61


GOOD = {"measure": "psi", "of": "critical", "condition": "above", "limit": 0.2, "severity": "warning", "action": "tell"}


@pytest.mark.parametrize(("changed", "said"), [
    ({"measure": "psy"}, "rules.0.measure: Value error, there is no such measure; they are psi, kl, js, ks"),
    ({"severity": "grave"}, "rules.0.severity: Input should be 'info', 'warning' or 'page'"),
    ({"action": "retrain"}, "rules.0.action: Input should be 'tell', 'review', 'request' or 'page'"),
    ({"condition": "below"}, "rules.0.condition: Input should be 'above'"),
    ({"limit": -0.1}, "rules.0.limit"),
    ({"limit": float("inf")}, "rules.0.limit"),
    ({"color": "red"}, "rules.0.color"),
    ({"condition": "falls"}, "the rule on psi cannot be: its condition is falls, and of psi can be asked: above"),
    ({"of": None}, "it lacks `of`, the features it looks at: critical or features"),
    ({"relative": True}, "a limit of psi is never relative"),
    ({"measure": "ks", "limit": 10}, "nothing passes its limit 10, which is a share and stays below 1"),
    ({"measure": "matured_auc", "condition": "falls"}, "matured_auc is measured once, and no feature's"),
    ({"action": "page"}, "its severity is warning and its action page: whoever is paged, is so by both"),
])
def test_a_rule_that_cannot_be_is_refused_with_why(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    raw = copy.deepcopy(SHIPPED)
    raw["monitoring"]["rules"] = [{**GOOD, **changed}]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert said in refusal(path).cause


def test_all_faults_of_the_rules_are_told_at_once(tmp_path: Path) -> None:
    raw = copy.deepcopy(SHIPPED)
    raw["monitoring"]["rules"] = [{**GOOD, "measure": "psy"}, GOOD, {**GOOD, "action": "shout", "severity": "loud"}]
    raw["gates"]["parity_gap_max"] = 70
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    error, rules = refusal(path), ("rules.0.measure", "rules.2.action", "rules.2.severity")
    assert all(key in error.cause for key in (*rules, "gates.parity_gap_max"))
    assert "70" in str(error.value) and "shout" in str(error.value)


@pytest.mark.parametrize(("other", "said"), [
    ({"severity": "info"}, "two rules on psi above 0.2 are one"),
    ({"limit": 0.3, "severity": "info"}, "psi above 0.3 is info, and from 0.2 on warning"),
])
def test_rules_that_contradict_each_other_are_refused(tmp_path: Path, other: dict[str, Any], said: str) -> None:
    raw = copy.deepcopy(SHIPPED)
    raw["monitoring"]["rules"] = [{**GOOD, **other}, GOOD]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert said in refusal(path).cause


def test_a_books_rules_replace_the_default_list(tmp_path: Path) -> None:
    raw = copy.deepcopy(SHIPPED)
    raw["books"]["sba"]["monitoring"] = {"rules": [GOOD]}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert [rule.limit for rule in load_params(path, book="sba").monitoring.rules] == [0.2]
    assert len(load_params(path, book="card").monitoring.rules) == len(SHIPPED["monitoring"]["rules"])
