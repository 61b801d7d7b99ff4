"""The report: complete, the same bytes again, and a page that needs nothing but itself."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

from tollgate.gates import GATES, Report, Verdict, write_report
from tollgate.gates.page import page
from tollgate.gates.report import MEANINGS

if TYPE_CHECKING:
    from tests.gates.conftest import Run


def spoiled(report: Report, verdict: Verdict) -> Report:
    return replace(report, verdicts=tuple(verdict if v.gate == verdict.gate else v for v in report.verdicts))


def test_the_page_holds_every_sentence_and_the_run_it_is_about(report: Report) -> None:
    shown = unescape(page(report))
    assert all(verdict.sentence in shown for verdict in report.verdicts)
    assert report.summary in shown
    for fact in ("Simulated consumer loans", "2007-01-01", report.model_digest, "none yet"):
        assert str(fact) in shown


def test_the_page_shows_every_cell_behind_the_sentences(report: Report) -> None:
    shown = unescape(page(report))
    cells = [cell for verdict in report.verdicts for row in verdict.table for cell in (*row, *row.values())]
    assert {v.gate for v in report.verdicts if v.table} == {"calibration", "expected_defaults", "slices", "fairness"}
    assert all(f">{cell}<" in shown for cell in cells)


def test_the_page_fetches_and_runs_nothing(report: Report) -> None:
    assert not re.search(r"https?:|//|<script|<link|<img|@import|url\(|src=|href=", page(report))


def test_text_from_outside_cannot_become_markup(report: Report) -> None:
    report = spoiled(report, Verdict("auc", "refuse", None, None, None, None, "<script>x</script> | y"))
    assert "<script" not in page(report)
    assert "<script>x</script> \\| y" in report.to_markdown()


def test_the_table_has_one_line_a_gate_in_order(report: Report) -> None:
    lines = [line for line in report.to_markdown().splitlines() if line.startswith("| ")]
    assert lines[0] == "| gate | measured | interval | limit | verdict | sentence |"
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[1:]] == [MEANINGS[name].title for name in GATES]
    assert "| >\N{NO-BREAK SPACE}0.82 | pass |" in lines[1]  # a narrow column does not tear a number from its sign


def test_a_value_between_two_limits_is_shown_between_them(report: Report) -> None:
    rate = next(v for v in report.verdicts if v.gate == "approval_rate")
    line = next(line for line in report.to_markdown().splitlines() if line.startswith("| Approval rate |"))
    assert "| 20.0 % to 99.0 % | pass |" in line.replace("\N{NO-BREAK SPACE}", " ")
    shown = page(replace(report, verdicts=(rate,)))
    assert "must be 20.0 % to 99.0 %" in shown
    good = re.search(r'class="good" x="([\d.]+)" y="14" width="([\d.]+)"', shown)
    dot = re.search(r'class="point" cx="([\d.]+)"', shown)
    assert good
    assert dot
    assert float(good[1]) < float(dot[1]) < float(good[1]) + float(good[2]) < 300
    assert shown.count('class="edge"') == 2


def test_the_json_tells_what_the_verdicts_tell(report: Report) -> None:
    record = json.loads(report.to_json())
    assert record["passed"] is True
    assert [v["gate"] for v in record["verdicts"]] == list(GATES)
    assert {"book": "consumer", "as_of": "2007-01-01", "model_digest": report.model_digest}.items() <= record.items()
    assert set(record["verdicts"][0]) == {"gate", "verdict", "measured", "low", "high", "limit", "sentence", "table",
                                           "limit_high"}


def test_a_refusal_is_named_in_plain_words_everywhere(report: Report) -> None:
    report = spoiled(report, Verdict("fairness", "refuse", 0.2, 0.1, 0.3, 0.1, "Too wide."))
    assert not report.passed
    told = f"The model is refused: 1 of {len(GATES)} gates said no (Fairness)"
    assert told in report.to_markdown()
    assert told in page(report)
    assert "**refuse**" in report.to_markdown()


def test_a_measured_value_that_is_no_number_is_still_a_report(report: Report) -> None:
    report = spoiled(report, Verdict("auc", "refuse", float("nan"), None, None, 0.82, "No number."))
    assert json.loads(report.to_json())["verdicts"][0]["measured"] is None
    assert "No number." in page(report)


def test_the_same_run_anywhere_gives_the_same_bytes(good: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another" / "place"
    shutil.copytree(good.folder, elsewhere)
    (elsewhere / "model" / "model.ubj").write_bytes(b"torn")
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, run in ((first, elsewhere), (second, tmp_path / "moved")):
        if run != elsewhere:
            shutil.copytree(elsewhere, run)
        folder.mkdir()
        write_report(replace(good, folder=run).report(), folder)
    names = ["gates.html", "gates.json", "gates.md"]
    assert sorted(path.name for path in first.iterdir()) == names
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
