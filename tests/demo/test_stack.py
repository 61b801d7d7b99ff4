"""What the demo runs, on which ports, and what is left when it is stopped or forgotten."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tollgate import services
from tollgate.demo import stack
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


def test_clean_removes_what_the_demo_made_and_keeps_the_sources(embedded: Path) -> None:
    for name in ("lake/consumer/x", "sources/card/y", "airflow/z"):
        (embedded / name).parent.mkdir(parents=True, exist_ok=True)
        (embedded / name).write_text("")
    (embedded / "mlflow.db").write_text("")
    services.database("optuna")
    told = stack.clean()
    assert told["stopped"] == ["postgres"]
    assert sorted(path.name for path in embedded.iterdir()) == ["sources"]
    assert (embedded / "sources" / "card" / "y").exists()
