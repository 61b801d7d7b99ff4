from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from registry.world import BOOK, World, aliases, client, kinds, let_through, params_of
from tests.databases import Databases

from tollgate import lake, registry, stages
from tollgate.config import Params
from tollgate.errors import BadInput, PassingFault, Refused

# As far as limits go, any model passes the gates.
LOOSE = {"auc_min": 0.5001, "ks_min": 0.01, "false_negative_max": 0.9, "approval_min": 0.0, "cost_max": 50.0,
         "calibration_gap_max": 0.5, "calibration_slope_max": 50.0, "defaults_ratio_max": 50.0, "slice_gap_max": 0.9,
         "parity_gap_max": 0.9, "baseline_margin": 0.5, "score_auc_max": 0.99, "feature_auc_max": 0.99}


def _runs(tag: str = "tollgate.book") -> list:
    experiment = client().get_experiment_by_name(f"tollgate-{BOOK}")
    return [run for run in client().search_runs([experiment.experiment_id]) if tag in run.data.tags]


def test_a_model_that_passed_becomes_the_challenger(world: World) -> None:
    run = world.run("a")
    answer = registry.register(run, params_of("a"))
    assert answer == {"version": "1", "digest": registry.challenger(BOOK).digest, "passed": True,
                      "mlflow_run": _runs()[0].info.run_id, "name": BOOK,
                      "refit": "Not fitted again: train.refit of params.yaml is never."}
    assert json.loads((run / "registered.json").read_text()) == answer
    assert aliases() == {"challenger": "1"}
    assert kinds() == ["registered"]
    assert registry.champion(BOOK) is None


def test_the_mlflow_run_carries_what_made_the_model(world: World) -> None:
    run = world.run("a")
    registry.register(run, params_of("a"))
    recorded, snapshot = _runs()[0], json.loads((run / "snapshot.json").read_text())
    tags = recorded.data.tags
    assert recorded.info.run_name == f"{BOOK} as of 2006-07-01"
    assert (tags["tollgate.snapshot"], recorded.data.params["seed"]) == (snapshot["digest"], str(ord("a")))
    assert json.loads(tags["tollgate.lake"]) == snapshot["lake"]
    assert {"tollgate.commit", "tollgate.code", "tollgate.lock", "tollgate.lake_versions", "tollgate.python",
            "tollgate.libraries"} <= set(tags)
    assert recorded.data.params["snapshot.horizon_months"] == "24"
    assert recorded.data.metrics["auc"] == json.loads((run / "metrics.json").read_text())["auc"]
    names = {f.path for f in client().list_artifacts(recorded.info.run_id)}
    assert {"model", "plots", "evidence.parquet", "gates.json", "metrics.json"} <= names
    assert [run.info.run_name for run in _runs("tollgate.trial")] == ["trial 0"]


def _swept(run: Path) -> None:
    """Give the run a sweep of three points, of which one was pruned and one failed."""
    point = {"params": {"max_depth": 2}, "auc": 0.7, "rounds": 10}
    low, middle, high = ({"budget": budget, "auc": auc} for budget, auc in ((10, 0.5), (10, 0.6), (30, 0.7)))
    told = [{**point, "point": 0, "state": "complete", "rungs": [middle, high]},
            {**point, "point": 1, "state": "pruned", "rungs": [low]},
            {**point, "point": 2, "state": "failed", "rungs": []}]
    (run / "sweep.json").write_text(json.dumps({"trials": told, "best": told[0]}))


def test_every_trial_is_a_child_run_with_its_state_and_its_score_on_each_rung(world: World) -> None:
    run = world.run("a")
    _swept(run)
    parent = registry.register(run, params_of("a"))["mlflow_run"]
    children = sorted(_runs("tollgate.trial"), key=lambda child: child.info.run_name)
    assert [(c.data.tags["tollgate.trial_state"], c.info.status) for c in children] == [
        ("complete", "FINISHED"), ("pruned", "FINISHED"), ("failed", "FAILED")]
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent}
    assert [c.data.params for c in children] == [{"max_depth": "2"}] * 3
    rungs = [[(m.step, m.value) for m in client().get_metric_history(c.info.run_id, "auc")] for c in children]
    assert rungs == [[(10, 0.6), (30, 0.7)], [(10, 0.5)], []]


def test_a_register_that_was_killed_among_the_trials_is_completed_without_doubling_them(world: World) -> None:
    run = world.run("a")
    _swept(run)
    parent = registry.register(run, params_of("a"))["mlflow_run"]
    first, second, third = (child.info.run_id for child in _runs("tollgate.trial"))
    client().delete_run(first)  # never begun
    for cut in (second, parent):
        client().update_run(cut, status="RUNNING")
    registry.register(run, params_of("a"))
    children = _runs("tollgate.trial")
    assert sorted(child.data.tags["tollgate.trial"] for child in children) == ["0", "1", "2"]
    assert {second, third} < {child.info.run_id for child in children}
    assert {child.info.status for child in children} == {"FINISHED", "FAILED"}


def test_registering_twice_adds_nothing(world: World) -> None:
    run = world.run("a")
    first = registry.register(run, params_of("a"))
    before = (kinds(), aliases(), len(_runs()), len(_runs("tollgate.trial")))
    assert registry.register(run, params_of("a")) == first
    assert (kinds(), aliases(), len(_runs()), len(_runs("tollgate.trial"))) == before


def test_registering_again_after_the_promotion_answers_the_same(world: World) -> None:
    run = world.run("a")
    first = registry.register(run, params_of("a"))
    registry.promote(BOOK, "1", first["digest"], by="ann")
    assert registry.register(run, params_of("a")) == first
    assert aliases() == {"champion": "1"}


def test_refused_gates_are_recorded_and_make_no_version(world: World) -> None:
    run = world.run("a", passed=False)
    with pytest.raises(Refused, match=r"AUC is .* above 0.99") as refusal:
        registry.register(run, params_of("a"))
    assert refusal.value.exit_code == 3 and "auc" in refusal.value.value
    answer = json.loads((run / "registered.json").read_text())
    assert (answer["version"], answer["passed"]) == (None, False)
    assert _runs()[0].data.tags["tollgate.gates"] == "refused"
    assert client().search_registered_models() == []
    assert kinds() == []


def test_a_report_that_says_passed_over_a_verdict_that_refuses_is_refused(world: World) -> None:
    run = world.run("a", passed=False)
    gates = json.loads((run / "gates.json").read_text())
    (run / "gates.json").write_text(json.dumps({**gates, "passed": True}))
    with pytest.raises(Refused, match=r"AUC is .* above 0.99"):
        registry.register(run, params_of("a"))
    assert _runs()[0].data.tags["tollgate.gates"] == "refused" and kinds() == []


def test_a_report_that_lacks_the_verdict_of_a_gate_is_refused(world: World) -> None:
    run = world.run("a")
    gates = json.loads((run / "gates.json").read_text())
    left = [verdict for verdict in gates["verdicts"] if verdict["gate"] != "fairness"]
    (run / "gates.json").write_text(json.dumps({**gates, "verdicts": left}))
    with pytest.raises(Refused, match="A gate gave no verdict") as refusal:
        registry.register(run, params_of("a"))
    assert refusal.value.value == "fairness" and kinds() == []


def test_the_ledger_keeps_what_both_models_expected_on_the_rows_of_the_gates(world: World) -> None:
    world.promoted("a")
    run = world.run("b")
    evidence = pq.read_table(run / "evidence.parquet")
    place = evidence.schema.get_field_index("champion_score")
    halved = pc.divide(evidence["score"], 2.0)
    pq.write_table(evidence.set_column(place, "champion_score", halved), run / "evidence.parquet")
    registry.register(run, params_of("b"))
    challenger = registry.challenger(BOOK)
    assert challenger is not None
    registry.promote(BOOK, challenger.version, challenger.digest, by="ann")
    reign = registry.reign(BOOK, challenger.version)
    assert reign is not None and reign.expected is not None
    test = evidence.filter(pc.equal(evidence["split"], "test"))
    assert reign.expected["model"] == pytest.approx(pc.mean(test["score"]).as_py())
    assert reign.expected["model"] / reign.expected["champion"] == pytest.approx(2)
    assert reign.expected["error"] == pytest.approx(0, abs=1e-9), "of scores that move together"


def test_gates_that_compared_with_an_earlier_champion_are_refused(world: World) -> None:
    stale = world.run("b")
    world.promoted("a")
    with pytest.raises(Refused, match="champion changed") as refusal:
        registry.register(stale, params_of("b"))
    assert "Run the gates again" in str(refusal.value)
    assert json.loads((stale / "registered.json").read_text())["version"] is None
    assert aliases() == {"champion": "1"}


def test_evidence_of_another_model_is_refused(world: World) -> None:
    run = world.run("a")
    (run / "evidence.parquet").write_bytes((world.made / "b" / "evidence.parquet").read_bytes())
    with pytest.raises(Refused, match="evidence are|evidence"):
        registry.register(run, params_of("a"))
    assert kinds() == []


def test_a_model_changed_after_its_gates_is_refused(world: World) -> None:
    run = world.run("a")
    about = json.loads((run / "model" / "model.json").read_text())
    (run / "model" / "model.json").write_text(json.dumps({**about, "threshold": 0.9}))
    with pytest.raises(Refused, match="of another model"):
        registry.register(run, params_of("a"))
    assert kinds() == []


def test_a_run_without_its_model_is_bad_input(world: World) -> None:
    run = world.run("a")
    shutil.rmtree(run / "model")
    with pytest.raises(BadInput, match="The run holds no model.*Run the train stage again"):
        registry.register(run, params_of("a"))
    assert kinds() == [] and not (run / "registered.json").exists()


def test_a_pickle_is_never_stored(world: World) -> None:
    run = world.run("a")
    (run / "model" / "extra.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(Refused, match="never stored") as refusal:
        registry.register(run, params_of("a"))
    assert refusal.value.value == "extra.pkl"


def test_a_run_of_another_as_of_is_bad_input(world: World) -> None:
    with pytest.raises(BadInput, match="another book or as-of"):
        registry.register(world.run("a"), params_of("b"))


def test_a_registration_cut_short_is_completed_by_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = world.run("a")

    def cut(*args: object, **kwargs: object) -> None:
        raise PassingFault("cut")

    with monkeypatch.context() as patch:
        patch.setattr("tollgate.registry.ledger.record", cut)
        with pytest.raises(PassingFault):
            registry.register(run, params_of("a"))
    assert registry.register(run, params_of("a"))["version"] == "1"
    assert (aliases(), kinds(), len(_runs())) == ({"challenger": "1"}, ["registered"], 1)


def test_a_dead_mlflow_is_a_passing_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = world.run("a")
    monkeypatch.setenv("TOLLGATE_MLFLOW", "http://user:secret@127.0.0.1:9")
    with pytest.raises(PassingFault) as fault:
        registry.register(run, params_of("a"))
    assert fault.value.exit_code == 75
    assert "TOLLGATE_MLFLOW" in str(fault.value) and "secret" not in str(fault.value)
    assert not (run / "registered.json").exists()


def test_an_artefact_store_that_is_away_is_a_passing_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = world.run("a")
    for name, value in {"TOLLGATE_MLFLOW_ARTIFACTS": "s3://tollgate/mlflow", "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
                        "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PassingFault, match="artefact store did not answer.*TOLLGATE_MLFLOW_ARTIFACTS"):
        registry.register(run, params_of("a"))
    assert kinds() == []


def test_an_mlflow_that_is_another_than_the_ledgers_is_refused(world: World) -> None:
    world.registered("a")
    client().delete_registered_model(f"tollgate-{BOOK}")
    with pytest.raises(Refused, match="number that the ledger knows already .got: 1"):
        registry.register(world.run("b"), params_of("b"))
    assert kinds() == ["registered"]


def test_a_database_that_is_away_is_a_passing_fault(home: Path) -> None:
    with pytest.raises(PassingFault, match="MLflow's database did not answer.*Check TOLLGATE_MLFLOW"):
        registry.prepare()


def test_a_password_that_the_database_does_not_know_is_told(databases: Databases, home: Path, tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pgpass").touch(mode=0o600)
    (tmp_path / "pgpass").write_text("*:*:*:*:wrong\n")
    monkeypatch.setenv("TOLLGATE_MLFLOW", databases.url("postgres").partition("?")[0] + f"?passfile={tmp_path}/pgpass")
    with pytest.raises(BadInput, match="MLflow's database did not let us in.*password in its pgpass file"):
        registry.prepare()


@pytest.mark.parametrize("where", ["sqlite:////somewhere/mlflow.db", "/somewhere/mlruns", "mysql://me:secret@host/m"])
def test_an_mlflow_that_is_neither_a_server_nor_a_postgresql_is_refused(home: Path, where: str,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_MLFLOW", where)
    with pytest.raises(BadInput, match="TOLLGATE_MLFLOW must be an MLflow server or a PostgreSQL") as caught:
        registry.prepare()
    assert "secret" not in str(caught.value)


def test_models_that_an_older_version_left_in_sqlite_are_told_and_not_taken_for_none(
        home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOLLGATE_MLFLOW")
    home.mkdir()
    (home / "mlflow.db").touch()
    with pytest.raises(BadInput, match=r"older Tollgate left its models in SQLite.*mlflow\.db.*another TOLLGATE_DATA"):
        registry.champion(BOOK)
    assert [path.name for path in home.iterdir()] == ["mlflow.db"]


def test_the_gate_report_of_a_recorded_run_can_be_read_again(world: World) -> None:
    run = world.run("a")
    (run / "gates.html").write_text("<p>Passed</p>", encoding="utf-8")
    recorded = registry.register(run, params_of("a"))["mlflow_run"]
    assert registry.gate_report(BOOK, recorded) == registry.gate_report(BOOK, "1") == "<p>Passed</p>"
    kept = Path(client().get_run(recorded).info.artifact_uri) / "gates.html"
    kept.write_text("<p>Passed with honours</p>", encoding="utf-8")
    with pytest.raises(Refused, match="gates.html of tollgate-consumer version 1 changed after registration"):
        registry.gate_report(BOOK, recorded)
    with pytest.raises(BadInput, match="another book than card"):
        registry.gate_report("card", recorded)
    for name, said in (("0" * 32, "no run of this name"), ("2", "no registered version"), ("../x", "no registered")):
        with pytest.raises(BadInput, match=said):
            registry.gate_report(BOOK, name)


def test_gates_that_were_edited_to_say_yes_are_asked_again_and_nothing_is_registered(world: World) -> None:
    run, params = world.run("a", passed=False), params_of("a", auc_min=0.99)
    let_through(run)
    with pytest.raises(Refused, match=r"asked again, say something else.*gates\.json"):
        stages.register(run, params)
    assert registry.entries(BOOK) == []


def test_limits_that_were_loosened_after_the_gates_are_noticed(world: World) -> None:
    run = world.run("a", passed=False)
    with pytest.raises(Refused, match=r"asked again, say something else"):
        stages.register(run, params_of("a", auc_min=0.5))
    assert registry.entries(BOOK) == []
    with pytest.raises(Refused, match="The gates refused this model"):
        stages.register(run, params_of("a", auc_min=0.99))


def _judged_anew(run: Path, params: Params, *made: str) -> None:
    """Run stages by hand on what somebody put there, up to gates that pass."""
    for stage in (*made, "evaluate", "gate"):
        stages.STAGES[stage](run, params)
    assert stages.answer("gate", run)["passed"], stages.answer("gate", run)["table"]


def _hardest(run: Path) -> pa.ChunkedArray:
    """Test loans that defaulted though the model gave them low scores."""
    rows = pq.read_table(run / "evidence.parquet").filter((pc.field("split") == "test") & (pc.field("label") == 1))
    return rows.sort_by("score")["loan_id"][:15].combine_chunks()


def test_a_test_without_its_hardest_loans_is_noticed(world: World) -> None:
    run, params = world.run("c"), params_of("c", **LOOSE)
    split = pq.read_table(run / "split.parquet")
    parts = pc.if_else(pc.is_in(split["loan_id"], value_set=_hardest(run)), "unseen", split["split"])
    pq.write_table(split.set_column(1, "split", parts), run / "split.parquet")
    _judged_anew(run, params)
    with pytest.raises(Refused, match="The split of this run is not by its parameters"):
        stages.register(run, params)
    assert registry.entries(BOOK) == []
    stages.split(run, params)
    _judged_anew(run, params)
    stages.register(run, params)
    assert registry.challenger(BOOK) is not None


def test_a_snapshot_without_its_hardest_loans_is_noticed_though_all_files_agree(world: World) -> None:
    run, params = world.run("c"), params_of("c", **LOOSE)
    rows, told = pq.read_table(run / "snapshot.parquet"), json.loads((run / "snapshot.json").read_text())
    rows = rows.filter(pc.invert(pc.is_in(rows["loan_id"], value_set=_hardest(run))))
    pq.write_table(rows, run / "snapshot.parquet")
    (run / "snapshot.json").write_text(json.dumps({**told, "rows": rows.num_rows, "digest": lake.digest(rows)}))
    _judged_anew(run, params, "features", "split", "sweep", "train")
    with pytest.raises(Refused, match="The snapshot of this run is not what the lake gives"):
        stages.register(run, params)
    assert registry.entries(BOOK) == []


@pytest.mark.parametrize("column", ["split", "applied_on", "loan_id"])
def test_evidence_that_lacks_a_column_is_told_by_the_gates_that_refused_it(world: World, column: str) -> None:
    run, params = world.run("c"), params_of("c", **LOOSE)
    rows = pq.read_table(run / "evidence.parquet")
    pq.write_table(rows.drop_columns([column]), run / "evidence.parquet")
    stages.gate(run, params)
    with pytest.raises(Refused, match=f"The gates refused this model: evidence.parquet lacks the columns {column}"):
        stages.register(run, params)
    assert registry.challenger(BOOK) is None and _runs()[0].data.tags["tollgate.gates"] == "refused"


def test_metrics_that_were_edited_for_the_ledger_are_noticed(world: World) -> None:
    run, params = world.run("c"), params_of("c", **LOOSE)
    _judged_anew(run, params)
    told = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({**told, "auc": 0.99}))
    with pytest.raises(Refused, match=r"metrics of this run are not what its evidence gives .got: auc."):
        stages.register(run, params)
    assert registry.entries(BOOK) == []
