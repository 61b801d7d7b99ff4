"""Every row of docs/regulation.md against one real run: what it says is recorded can be read back from there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from registry.world import BOOK, client, copied_to, params_of
from scoring.nightly import score
from tests.databases import Databases

from tollgate import lake, monitoring, registry, scoring, stages
from tollgate.books import load_book
from tollgate.config import PROJECT
from tollgate.errors import Refused

PAGE = (PROJECT / "docs" / "regulation.md").read_text(encoding="utf-8")
ROWS = [" ".join(found) for found in re.findall(r"^\| \*\*(.+?)\*\* (\w+)", PAGE, re.MULTILINE)]
NIGHT = date(2006, 8, 1)


@pytest.fixture(scope="module")
def seen(made: Path, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """What can be read of a model that was trained, gated, approved, served for a night and watched."""
    folder, book, params = tmp_path_factory.mktemp("regulation"), load_book(BOOK), params_of("a")
    with copied_to(folder / "home", made, databases) as world:
        run = world.run("a")
        stages.gate(run, params)
        gates = json.loads((run / "gates.json").read_text())
        passed = [{**verdict, "verdict": "pass"} for verdict in gates["verdicts"]]  # too small a model for every limit
        (run / "gates.json").write_text(json.dumps({**gates, "passed": True, "verdicts": passed}))
        made_of = registry.register(run, params)
        without = registry.champion(BOOK)
        with pytest.raises(Refused):
            registry.promote(BOOK, "1", "0" * 64, by="ann")
        registry.promote(BOOK, "1", made_of["digest"], by="ann", comment="good")
        score(scoring.pin(book, NIGHT, "night", params))
        for step in (monitoring.drift_step, monitoring.performance_step, monitoring.verdict_step):
            step(book, NIGHT, params)
        scores = lake.read(lake.scores(BOOK)).to_pylist()
        tables = {name: lake.read(getattr(lake, name)(BOOK)) for name in (
            "received", "quarantine", "checks", "measures", "alerts", "verdicts", "requests")}
        yield SimpleNamespace(
            book=book, params=params, made=made_of, before_approval=without, card=registry.card(BOOK, "1"),
            entries=registry.entries(BOOK), models=registry.models(BOOK), scores=scores, tables=tables,
            declined=[row for row in scores if row["decision"] == "decline"],
            trace=registry.trace(BOOK, scores[0]["loan_id"]), applications=lake.read(lake.applications(book)),
            artefacts={entry.path for entry in client().list_artifacts(made_of["mlflow_run"])},
            model={path.suffix for path in registry.fetch_model(BOOK, "1").rglob("*") if path.is_file()})


def facts(seen: SimpleNamespace) -> dict:
    return seen.card["facts"]


RECORDED: dict[str, Callable[[SimpleNamespace], object]] = {
    "SR 26-2 development": lambda s: (
        all(facts(s)[part] for part in ("use", "limits", "data", "label", "features"))
        and all("constraint" in feature for feature in facts(s)["features"])
        and s.card["origin"]["params"] and s.entries[1]["payload"]["files"]["card.json"]
        and (PROJECT / "docs" / "books" / f"{BOOK}.md").exists()),
    "SR 26-2 validation": lambda s: {"gates.html", "gates.json", "evidence.parquet"} <= s.artefacts,
    "SR 26-2 monitoring": lambda s: (
        all(s.tables[name].num_rows for name in ("measures", "verdicts"))
        and {"message", "limit"} <= set(s.tables["alerts"].schema.names)
        and {"reason", "result"} <= set(s.tables["requests"].schema.names)),
    "SR 26-2 governance": lambda s: (
        [(e["payload"]["by"], e["payload"]["comment"], e["payload"]["model"]["digest"]) for e in s.entries[-1:]]
        == [("ann", "good", s.made["digest"])] and s.entries[-1]["at"] and registry.verify(BOOK)["intact"]),
    "SR 26-2 an": lambda s: [(m["version"], m["state"]) for m in s.models] == [("1", "champion")]
    and s.models[0]["metrics"]["auc"],
    "Reg B, 12 CFR 1002.9(a)(2), (b)(2) a": lambda s: s.declined and all(
        0 < len(row["reasons"]) <= s.params.scoring.reasons and row["model_version"] and row["snapshot_version"]
        and row["run_id"] for row in s.declined),
    "Reg B, comments on 1002.9(b)(2); CFPB Circular 2023-03 the": lambda s: (
        {code for row in s.declined for code in row["reasons"]} <= {f.name for f in s.book.features}
        and {"lake_versions", "commit", "code", "decisions"} <= set(s.trace["models"]["1"])),
    "Reg B, 12 CFR 1002.12(b) what": lambda s: (
        s.applications.num_rows and len(s.scores) and "record" in s.tables["quarantine"].schema.names
        and not {c.name for c in s.book.applications if c.personal} & set(s.applications.schema.names)),
    "AI Act, art. 10 origin": lambda s: (
        {"fingerprint", "published", "quarantined"} <= set(s.tables["received"].schema.names)
        and "rule" in s.tables["quarantine"].schema.names
        and s.entries[1]["payload"]["origin"]["snapshot"] and s.entries[1]["payload"]["origin"]["lake_versions"]
        and facts(s)["fairness"] and "fairness" in " ".join(gate["gate"] for gate in facts(s)["gates"])),
    "AI Act, art. 11 and annex IV technical": lambda s: (
        s.card["origin"]["params"] == s.params.model_dump(mode="json") and "Lineage" in s.card["html"]),
    "AI Act, art. 12 events": lambda s: all(
        row["model_version"] and row["run_id"] for row in s.scores) and s.tables["verdicts"].num_rows,
    "AI Act, art. 13 deployers": lambda s: (
        {"auc_low", "auc_high"} <= set(facts(s)["metrics"])
        and {"threshold", "approval_rate", "false_negative_rate"} <= set(facts(s)["operating"]) and s.declined),
    "AI Act, art. 14 people": lambda s: s.before_approval is None and s.entries[2]["kind"] == "promotion-intent",
    "AI Act, art. 15 accuracy": lambda s: (
        {"auc", "behaviour"} <= {gate["gate"] for gate in facts(s)["gates"]} and s.tables["measures"].num_rows
        and s.model <= {".ubj", ".json", ".parquet"}),
}


@pytest.mark.parametrize("row", ROWS)
def test_what_the_page_on_regulation_says_is_recorded_can_be_read_back(seen: SimpleNamespace, row: str) -> None:
    assert RECORDED[row](seen)


def test_the_page_has_a_row_for_everything_that_is_checked() -> None:
    assert set(ROWS) == set(RECORDED)
