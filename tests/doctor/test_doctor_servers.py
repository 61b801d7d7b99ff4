"""Servers, keys, tables and remotes that are broken for real, as `tollgate doctor` names them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from deltalake import write_deltalake
from doctor.reading import said
from scratch import Scratch
from sqlalchemy import create_engine, text
from tests.databases import Databases

from tollgate import deployment, lake
from tollgate.config import settings

CLOSED = "127.0.0.1:9"  # a port at which nobody listens


def test_a_store_that_lets_everybody_win_is_named_and_keeps_no_probe(
        well: Scratch, careless_store: Any, on_s3: Callable[[str], None]) -> None:
    on_s3("loans")
    found = said("object store", "ledger")
    assert "two writers may both commit: 4 of 4 contenders won" in found["object store"]
    assert "atomic conditional writes" in found["object store"]
    assert found["ledger"].startswith("warning: not looked at: the object store is not well")
    assert careless_store.kept == {}


def test_a_store_that_is_away_is_named_once_and_may_pass(well: Scratch) -> None:
    done = well.run("tollgate", "doctor", "object store", "migrations", "ledger", TOLLGATE_LAKE="s3://loans/lake",
                    AWS_ENDPOINT_URL=f"http://{CLOSED}", AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s")
    assert done.returncode == 75
    bad, = [one for one in json.loads(done.stdout)["findings"] if one["level"] == "error"]
    assert bad["found"].startswith("The object store did not answer: Could not connect")
    assert bad["remedy"] == "Check AWS_ENDPOINT_URL, the server and the network."
    assert bad["passing"]


def test_a_bucket_that_is_missing_and_a_key_that_is_wrong_are_named(
        well: Scratch, on_server: str, monkeypatch: pytest.MonkeyPatch, on_s3: Callable[[str], None]) -> None:
    assert said("object store") == {}
    on_s3("nobody-made-it")
    assert "There is no bucket nobody-made-it" in said("object store")["object store"]
    on_s3(on_server)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert "The bucket tollgate is not ours to use (got: status 403)" in said("object store")["object store"]


def test_a_deployment_that_nobody_prepared_and_one_of_other_code_are_named(
        well: Scratch, on_server: str, studies: Callable[[], None], monkeypatch: pytest.MonkeyPatch,
        on_s3: Callable[[str], None]) -> None:
    on_s3("b-doctor-prepared")
    deployment.prepare()
    assert said("deployment") == {}
    store = lake.Store(settings().store)
    ours = store.read_json(deployment.RECORD)
    for change, words in (({"code": "f" * 64}, "runs other code than the deployment was prepared with"),
                          ({"database": "1"}, "Another deployment works on this store and lake")):
        store.write_json(deployment.RECORD, {**ours, **change})
        assert words in said("deployment")["deployment"]
    store.delete(deployment.RECORD)
    assert "Nobody has prepared this deployment yet" in said("deployment")["deployment"]


def test_an_mlflow_that_is_away_is_named_and_may_pass(well: Scratch) -> None:
    done = well.run("tollgate", "doctor", TOLLGATE_MLFLOW=f"http://{CLOSED}")
    assert done.returncode == 75
    bad, = [one for one in json.loads(done.stdout)["findings"] if one["level"] != "ok"]
    assert (bad["check"], bad["passing"]) == ("mlflow", True)
    assert f"MLflow did not answer: ConnectionError (got: http://{CLOSED})" in bad["found"]


@pytest.mark.parametrize(("path", "status", "content", "words"), [
    ("/api/2.0/mlflow/experiments/search", 401, b"", "error: MLflow does not let us in (got: no login"),
    ("/version", 200, b"2.9.0", "warning: The MLflow server is of another version than our client (got: 2.9.0"),
    ("/api/2.0/mlflow/experiments/search", 404, b"", "error: What answers there is no MLflow that is well"),
])
def test_an_mlflow_with_a_login_of_another_version_or_that_is_none_is_named(
        well: Scratch, mlflow_server: Any, path: str, status: int, content: bytes, words: str) -> None:
    assert said() == {}
    mlflow_server.answers[path] = (status, content)
    assert list(found := said()) == ["mlflow"]
    assert words in found["mlflow"]


@pytest.mark.parametrize(("shift", "words"), [
    (3600.0, "error: The clock of MLflow is 60 minutes ahead of this machine's"),
    (-30.0, "seconds behind this machine's"),
])
def test_a_clock_that_is_off_is_named_with_the_server(well: Scratch, mlflow_server: Any, shift: float,
                                                      words: str) -> None:
    mlflow_server.shift = shift
    assert list(found := said()) == ["mlflow"]
    assert words in found["mlflow"]
    assert "NTP" in found["mlflow"]


def test_a_store_whose_clock_is_off_is_named(well: Scratch, careless_store: Any,
                                             on_s3: Callable[[str], None]) -> None:
    on_s3("loans")
    careless_store.shift = -7200.0
    found = said("object store")["object store"]
    assert "error: The clock of the object store is 120 minutes behind this machine's" in found


def test_a_part_of_airflow_that_is_ill_is_named(well: Scratch, airflow_server: Any) -> None:
    parts = {"scheduler": {"status": "healthy"}, "triggerer": {"status": "unhealthy"}, "metadatabase": {"status": None}}
    airflow_server.answers["/api/v2/monitor/health"] = (200, json.dumps(parts).encode())
    assert list(found := said()) == ["airflow"]
    assert "A part of Airflow is not well: triggerer unhealthy" in found["airflow"]


def test_what_is_no_airflow_is_named_with_the_setting_that_leads_there(well: Scratch, airflow_server: Any) -> None:
    airflow_server.answers["/api/v2/monitor/health"] = (404, b'{"detail": "Not Found"}')
    assert "no Airflow that is well (got: status 404 of http://127.0.0.1:" in (found := said())["airflow"]
    assert "Check AIRFLOW__CORE__EXECUTION_API_SERVER_URL" in found["airflow"]


def test_a_database_that_is_away_or_does_not_know_the_password_is_named(
        well: Scratch, studies: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    assert said("database") == {}
    with monkeypatch.context() as patch:
        patch.setenv("TOLLGATE_OPTUNA", os.environ["TOLLGATE_OPTUNA"].partition("?")[0])
        patch.setenv("PGPASSWORD", "wrong")
        found = said("database")["database"]
        assert "does not let us in" in found
        assert "Set PGPASSWORD" in found
    monkeypatch.setenv("TOLLGATE_OPTUNA", f"postgresql+psycopg2://nobody@{CLOSED}/none")
    assert "The database of TOLLGATE_OPTUNA did not answer: connection to server" in said("database")["database"]


def test_tables_of_another_mlflow_are_named(well: Scratch, databases: Databases,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    name = databases.new()
    try:
        monkeypatch.setenv("TOLLGATE_MLFLOW", databases.url(name))
        assert said("mlflow") == {}, "there are no tables yet"
        with create_engine(databases.url(name)).begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
            connection.execute(text("INSERT INTO alembic_version VALUES ('451aebb31d03')"))  # of MLflow 1.0
        found = said("mlflow")["mlflow"]
        assert "error: MLflow's tables are of another version than MLflow " in found
        assert "(got: revision 451aebb31d03, not " in found
        assert "mlflow db upgrade" in found
    finally:
        databases.forget(name)


def test_the_data_of_another_postgresql_are_named_and_not_touched(well: Scratch) -> None:
    data = well.data / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n")
    found = said()
    assert set(found) == {"database", "mlflow"}
    assert "was written by PostgreSQL 12" in found["database"]
    assert "pg_upgrade" in found["database"]
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def a_key(path: Path, rights: int = 0o600) -> Path:
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(rights)
    return path


def test_a_key_that_others_may_read_is_named(well: Scratch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOLLGATE_LEDGER_KEY", str(a_key(tmp_path / "key.pem")))
    assert said() == {}
    (tmp_path / "key.pem").chmod(0o644)
    assert list(found := said()) == ["keys"]
    assert "may be read or replaced by others than its owner" in found["keys"]
    assert f"chmod go= {tmp_path / 'key.pem'}" in found["keys"]


def test_a_key_that_nobody_believes_and_one_that_is_not_there_are_named(
        well: Scratch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    monkeypatch.setenv("TOLLGATE_LEDGER_PUBLIC_KEYS", base64.b64encode(other).decode())
    assert said("keys") == {}, "decisions are taken elsewhere"
    monkeypatch.setenv("TOLLGATE_LEDGER_KEY", str(a_key(tmp_path / "key.pem")))
    assert "none of TOLLGATE_LEDGER_PUBLIC_KEYS: nobody would believe" in said("keys")["keys"]
    monkeypatch.setenv("TOLLGATE_LEDGER_KEY", str(tmp_path / "gone.pem"))
    assert "The key that signs decisions is not held here" in said("keys")["keys"]


def test_a_ledger_that_can_be_written_to_where_no_decision_is_taken_is_named(
        well: Scratch, on_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_LEDGER", f"s3://{on_server}/decisions")
    assert said("object store") == {}, "decisions are taken here"
    other = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    monkeypatch.setenv("TOLLGATE_LEDGER_PUBLIC_KEYS", base64.b64encode(other).decode())
    found = said("object store")["object store"]
    assert f"the ledger can be written to all the same (got: s3://{on_server}/decisions)" in found
    assert "a key of the object store that may read there alone" in found


def test_secrets_that_others_may_read_are_named(well: Scratch) -> None:
    (well.folder / ".env").touch(mode=0o600)
    (well.folder / ".env").chmod(0o644)
    assert list(found := said()) == ["keys"]
    assert f"chmod go= {well.folder / '.env'}" in found["keys"]


def test_a_lake_that_an_older_tollgate_wrote_is_named_with_the_command_that_migrates_it(well: Scratch) -> None:
    table = pa.table({"kind": ["a"], "seq": [1]})
    write_deltalake(well.data / "lake" / "sba" / "ledger", table, partition_by=["kind"])
    write_deltalake(well.data / "lake" / "sba" / "verdicts", table, partition_by=["kind"])
    found = said()
    assert set(found) == {"migrations", "ledger"}
    assert "2 tables of sba cannot be read, the first of them: The table sba/" in found["migrations"]
    assert "tollgate ingest migrate sba" in found["migrations"]


def test_a_record_of_the_stores_format_that_is_damaged_is_named(well: Scratch) -> None:
    record = well.data / "store" / "format.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"format"')
    assert list(found := said()) == ["migrations"]
    assert f"got: {record}" in found["migrations"]


def test_a_dvc_remote_that_is_gone_is_named_once_runs_have_pushed_to_it(well: Scratch) -> None:
    record = well.data / "store" / "workspaces" / "weekly-1"
    record.mkdir(parents=True)
    (record / "dvc.lock").write_text("schema: '2.0'\n")
    assert list(found := said()) == ["dvc remote"]
    assert "The DVC remote is empty or gone, and the records of 1 training runs" in found["dvc remote"]
    (well.data / "dvc-remote" / "files" / "md5").mkdir(parents=True)
    assert said() == {}


def test_a_project_whose_dvc_has_no_remote_is_named(well: Scratch) -> None:
    (well.folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    assert list(found := said()) == ["dvc remote"]
    assert "has no default remote" in found["dvc remote"]
