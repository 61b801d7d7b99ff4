"""What Prometheus is told is what the lake holds, and what its rules and its dashboard ask for is there."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tollgate import lake, requests
from tollgate.config import PROJECT, settings
from tollgate.errors import BadInput
from tollgate.monitoring import acknowledge, performance_step, write_metrics
from tollgate.monitoring.metrics import GAUGES, exposition

if TYPE_CHECKING:
    from conftest import Night

FEB = date(2007, 2, 1)
RULES, DASHBOARD = PROJECT / "docker/prometheus/tollgate.rules.yml", PROJECT / "docker/grafana/tollgate.json"


def _samples(text: str) -> dict[tuple[str, ...], float]:
    """By name without the prefix, and by the values of all labels but the book's; of the consumer book."""
    return {(sample.name.removeprefix("tollgate_"), *(value for label, value in sample.labels.items()
                                                      if label != "book")): sample.value
            for family in text_string_to_metric_families(text) for sample in family.samples
            if sample.labels["book"] == "consumer"}


def test_the_gauges_are_the_newest_numbers_of_the_lake(night: Night) -> None:
    night.publish("broken_feed", FEB, refused=20)
    performance_step(night.book, FEB, night.params)
    night.drift(FEB)
    night.verdict(FEB)
    acknowledge("consumer", "psi:annual_income", "seen", by="On Call")
    requests.ask("consumer", FEB, "by hand", expiry_days=60)
    found = _samples(exposition(["consumer"]))
    assert found["up",] == 1
    assert found["night_timestamp_seconds", "new"] == datetime(2007, 2, 1, tzinfo=UTC).timestamp()
    assert (found["night_loans", "new", "scored"], found["night_loans", "new", "refused"]) == (980, 20)
    (psi,) = [row["value"] for row in lake.read(lake.measures("consumer")).to_pylist()
              if (row["metric"], row["subject"]) == ("psi", "annual_income")]
    assert found["psi", "annual_income"] == psi and found["drift_level",] == 3
    assert 0 < found["expected", "default_rate"] < 1
    assert 0 < found["approval_rate",] < 1 and found["expected", "loss"] > 0 > -1 < found["expected", "profit"]
    assert (found["moved", "feature"], found["moved", "concept"]) == (1, -1)
    assert found["alerts", "yes", "warning"] == 1 and found["alerts", "no", "warning"] >= 1
    assert found["requests", "open"] == 1 and found["requests", "claimed"] == 0


def test_a_book_that_cannot_be_read_is_told_as_such_and_holds_up_no_other(night: Night) -> None:
    night.run("stationary", FEB)
    folder = Path(settings().lake) / "sba" / "verdicts"
    (folder / "_delta_log").mkdir(parents=True)
    (folder / "_delta_log" / "00000000000000000000.json").write_text("no JSON\n")
    text = exposition(["sba", "consumer"])
    assert re.search(r'^tollgate_up\{book="sba"\} 0\.0$', text, re.MULTILINE)
    assert len(re.findall(r'book="sba"', text)) == 1
    assert _samples(text)["up",] == 1


def test_a_book_without_anything_has_no_numbers_but_that_it_can_be_read(home: Path) -> None:
    found = _samples(exposition(["consumer"]))
    assert found["up",] == 1
    assert {name for name, *_ in found} == {"up", "alerts", "requests"}


def test_the_file_is_there_whole_or_not_at_all(night: Night, tmp_path: Path) -> None:
    night.run("stationary", FEB)
    told = write_metrics(tmp_path / "tollgate.prom", ["consumer"])
    text = (tmp_path / "tollgate.prom").read_text()
    assert told["samples"] == len(_samples(text)) > 20
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ""] == ["tollgate.prom"]
    with pytest.raises(BadInput, match="Name a file in a folder that is there"):
        write_metrics(tmp_path / "nowhere" / "tollgate.prom", ["consumer"])


@pytest.mark.parametrize("name", [".", "metrics.d"])
def test_a_folder_is_no_file_of_metrics_and_nothing_is_left_beside_it(
        home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics.d").mkdir()
    before = set(tmp_path.iterdir())
    with pytest.raises(BadInput, match="that is a folder .* Name a file in it"):
        write_metrics(Path(name), ["consumer"])
    assert set(tmp_path.iterdir()) == before


def test_the_rules_and_the_dashboard_ask_for_gauges_and_labels_that_there_are() -> None:
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    asked = [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(asked) > 15
    for expression in asked:
        names = re.findall(r"tollgate_(\w+)", expression)
        assert names and set(names) <= set(GAUGES), expression
        for name, within in re.findall(r"tollgate_(\w+)\{([^}]*)\}", expression):
            labels = {part.strip(' ~!"').split("=")[0].split("!")[0] for part in within.split(",")}
            assert labels <= {"book", *GAUGES[name][1]}, expression


def test_the_page_of_metrics_names_every_gauge() -> None:
    page = (PROJECT / "docs/metrics.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in GAUGES)
