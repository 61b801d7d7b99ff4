"""What the demo runs, on which ports, and what is left when it is stopped or forgotten."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from sqlalchemy import create_engine, inspect, text

from tollgate import demo, registry, services
from tollgate.demo import cleaning, stack
from tollgate.errors import BadInput


@pytest.fixture
def embedded(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with the databases that it has when nothing is set."""
    for name in ("TOLLGATE_MLFLOW", "TOLLGATE_OPTUNA"):
        monkeypatch.delenv(name)
    try:
        yield home
    finally:
        services.stop_embedded()


@pytest.mark.parametrize("name", ["airflow", "mlflow"])
def test_a_port_in_use_is_refused_with_the_setting_that_moves_it(embedded: Path, name: str,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        port = theirs.getsockname()[1]
        monkeypatch.setenv(f"TOLLGATE_{name.upper()}_PORT", str(port))
        with pytest.raises(BadInput) as caught:
            stack.start(getattr(stack, name)())
    assert str(caught.value) == (f"The port that {name} wants is in use (got: {port}). "
                                 f"Free it, or set TOLLGATE_{name.upper()}_PORT to another.")
    assert stack.stop() == {"stopped": ["postgres"]}


@pytest.mark.parametrize("port", ["http", "0", "70000", "-1"])
def test_a_port_that_is_no_port_is_refused(home: Path, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_AIRFLOW_PORT", port)
    with pytest.raises(BadInput, match="TOLLGATE_AIRFLOW_PORT must be a port number"):
        stack.airflow()


def test_the_password_stands_in_no_command_and_no_setting_of_a_service(embedded: Path) -> None:
    password = (services.database("mlflow") and (embedded / "postgres" / "pgpass")).read_text().strip().split(":")[-1]
    for service in (stack.airflow(), stack.mlflow()):
        said = " ".join([*service.command, *service.environment.values()])
        assert "postgresql+psycopg2://tollgate@127.0.0.1:" in said
        assert password not in said


def lay(home: Path, *names: str) -> None:
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("")


def test_clean_removes_what_the_demo_made_and_keeps_the_sources(embedded: Path) -> None:
    cleaning.begin("consumer")
    lay(embedded, "lake/consumer/x", "sources/card/y", "airflow/z")
    services.database("optuna")
    told = demo.clean()
    assert (told["stopped"], told["kept_for"]) == (["postgres"], [])
    assert sorted(path.name for path in embedded.iterdir()) == ["sources"]
    assert (embedded / "sources" / "card" / "y").exists()


def test_clean_keeps_a_lenders_own_book_beside_the_demos_and_what_they_share(embedded: Path) -> None:
    lay(embedded, "lake/mortgages/x", "landing/mortgages/x", "store/ledger/mortgages.json", "mlflow-artifacts/1/x")
    cleaning.begin("consumer")
    cleaning.begin("consumer")  # resumed
    lay(embedded, "lake/consumer/x", "landing/consumer/x", "store/ledger/consumer.json", "store/nights/consumer/x",
        "airflow/z", "workspaces/demo/x", "store/workspaces/theirs/run/params.yaml")
    (embedded / "store" / "workspaces" / "demo" / "run").mkdir(parents=True)
    (embedded / "store" / "workspaces" / "demo" / "run" / "params.yaml").write_text("book: consumer\n")
    told = demo.clean()
    assert told["kept_for"] == ["mortgages"]
    assert sorted(str(path.relative_to(embedded)) for path in embedded.rglob("*") if path.is_file()) == [
        "lake/mortgages/x", "landing/mortgages/x", "mlflow-artifacts/1/x", "store/ledger/mortgages.json",
        "store/workspaces/theirs/run/params.yaml"]


def test_clean_keeps_a_book_that_was_there_before_the_demo_began(embedded: Path) -> None:
    lay(embedded, "lake/sba/x", "store/ledger/sba.json")
    cleaning.begin("sba")
    assert demo.clean()["kept_for"] == ["sba"]
    assert (embedded / "lake" / "sba" / "x").exists()
    assert (embedded / "store" / "ledger" / "sba.json").exists()
    assert not (embedded / "demo").exists()


def test_clean_keeps_what_somebody_else_put_into_the_data_folder(embedded: Path) -> None:
    lay(embedded, "backups/2007-03-01/backup.json", "notes.txt", ".env")
    cleaning.begin("consumer")
    lay(embedded, "lake/consumer/x", "keys/ledger.pem")
    demo.clean()
    assert sorted(str(path.relative_to(embedded)) for path in embedded.rglob("*") if path.is_file()) == [
        ".env", "backups/2007-03-01/backup.json", "notes.txt"]


def test_clean_keeps_the_key_and_the_models_of_books_whose_lake_lies_elsewhere(
        embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_LAKE", str(tmp_path / "lake"))
    lay(tmp_path, "lake/mortgages/x")
    cleaning.begin("consumer")
    lay(tmp_path, "lake/consumer/x")
    lay(embedded, "keys/ledger.pem", "mlflow-artifacts/1/x", "landing/consumer/x")
    told = demo.clean()
    assert (told["removed"], told["kept_for"]) == (["demo"], ["consumer", str(tmp_path / "lake")])
    assert (embedded / "keys" / "ledger.pem").exists() and (embedded / "mlflow-artifacts" / "1" / "x").exists()


def test_clean_where_no_demo_ever_ran_removes_nothing(embedded: Path) -> None:
    lay(embedded, "lake/sba/x", "keys/ledger.pem")
    assert demo.clean()["removed"] == []
    assert (embedded / "keys" / "ledger.pem").exists()
    assert (embedded / "lake" / "sba" / "x").exists()


def test_clean_takes_the_demos_models_and_its_airflow_out_of_databases_that_others_use(embedded: Path) -> None:
    lay(embedded, "lake/mortgages/x")
    cleaning.begin("consumer")
    client = MlflowClient(registry.address(), registry.address())
    registry.prepare()
    for name in ("tollgate-consumer", "tollgate-mortgages"):
        client.create_registered_model(name)
        client.create_run(client.create_experiment(name))
    with create_engine(services.database("airflow")).begin() as connection:
        connection.execute(text("CREATE TABLE dag_run (run_id TEXT)"))
    assert demo.clean()["stopped"] == ["postgres"]
    assert not inspect(create_engine(services.database("airflow"))).has_table("dag_run")
    registry.tracking._open.cache_clear()
    client = MlflowClient(registry.address(), registry.address())
    assert [model.name for model in client.search_registered_models()] == ["tollgate-mortgages"]
    runs = {one.name: len(client.search_runs([one.experiment_id])) for one in client.search_experiments()}
    assert (runs["tollgate-consumer"], runs["tollgate-mortgages"]) == (0, 1)
