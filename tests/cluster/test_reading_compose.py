"""docker-compose.yml, its .env and the Dockerfile are read as they are meant, and what is not understood is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tollgate.cluster import compose, image
from tollgate.config import PROJECT
from tollgate.errors import BadInput

SERVICE = """
services:
  one:
    image: redis:7.4
    command: [sh, -c, 'echo "$$HOME ${NAME:-nobody}"']
    environment: {SECRET: "${SECRET:?set it}", FLAG: true, NUMBER: 5}
    ports: ["127.0.0.1:${PORT:-8080}:80"]
    volumes: ["kept:/data", "./docker/s3.sh:/s3.sh:ro"]
    stop_grace_period: 1m30s
    healthcheck: {test: [CMD-SHELL, "ping | grep PONG"], interval: 10s, retries: 4}
  two:
    image: redis:7.4
    depends_on: {one: {condition: service_healthy}}
    deploy: {replicas: 2}
"""


def read(tmp_path: Path, text: str, **variables: str) -> dict[str, compose.Service]:
    (tmp_path / "docker-compose.yml").write_text(text)
    return compose.read_topology(tmp_path / "docker-compose.yml", variables)


def env_of(tmp_path: Path, content: bytes, **shell: str) -> dict[str, str]:
    (tmp_path / ".env").write_bytes(content)
    return compose.read_environment(tmp_path / ".env", shell)


def test_a_service_is_read_with_its_variables_replaced(tmp_path: Path) -> None:
    one = read(tmp_path, SERVICE, SECRET="s", PORT="18080")["one"]
    assert one.command == ("sh", "-c", 'echo "$HOME nobody"')
    assert one.environment == {"SECRET": "s", "FLAG": "true", "NUMBER": "5"}
    assert one.ports == (compose.Port("127.0.0.1", 18080, 80),)
    assert one.mounts == (compose.Mount("kept", "/data", False), compose.Mount("./docker/s3.sh", "/s3.sh", True))
    assert one.grace == 90.0
    assert one.health == compose.Health(("sh", "-c", "ping | grep PONG"), 10.0, 30.0, 4, 0.0)


def test_a_number_in_the_environment_is_that_number_as_compose_has_it(tmp_path: Path) -> None:
    text = SERVICE.replace("NUMBER: 5}", "ONE: 1, NONE: 0, UNSET: false, EMPTY: }")
    assert read(tmp_path, text, SECRET="s")["one"].environment == {
        "SECRET": "s", "FLAG": "true", "ONE": "1", "NONE": "0", "UNSET": "false", "EMPTY": ""}


def test_several_of_one_service_have_names_of_their_own(tmp_path: Path) -> None:
    services = read(tmp_path, SERVICE, SECRET="s")
    assert services["one"].instances == ["one"]
    assert services["two"].instances == ["two-1", "two-2"]
    assert services["two"].after == {"one": "service_healthy"}


@pytest.mark.parametrize("variables", [{}, {"SECRET": ""}])
def test_a_secret_that_is_missing_or_empty_is_named(tmp_path: Path, variables: dict[str, str]) -> None:
    with pytest.raises(BadInput, match=r"variables that are not set or empty: SECRET \(got: set it\)"):
        read(tmp_path, SERVICE, **variables)


def test_a_key_that_is_not_understood_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="The service one has keys that `make cluster` does not know: cap_add"):
        read(tmp_path, "services: {one: {image: 'redis:7', cap_add: [NET_ADMIN]}}")


@pytest.mark.parametrize(("line", "got"), [
    ("environment: [A=b]", "environment: another form than a dict"), ("depends_on: [two]", "depends_on: another form"),
    ("healthcheck: {disable: true}", "test"), ("healthcheck: {test: curl x}", "healthcheck: test: curl x"),
    ("stop_grace_period: 10", "10 is no duration"), ("deploy: {replicas: two}", "invalid .* 'two'"),
])
def test_another_form_of_compose_is_refused_by_its_service_and_not_taken_for_something_else(
        tmp_path: Path, line: str, got: str) -> None:
    with pytest.raises(BadInput, match=rf"^The service one is written in a way .* does not know \(got: .*{got}"):
        read(tmp_path, f"services: {{one: {{image: 'redis:7', {line}}}}}")


@pytest.mark.parametrize("value", ["$HOME", "${NAME-nobody}", "${NAME:+somebody}"])
def test_a_variable_in_another_form_is_refused_and_not_handed_on_as_it_stands(tmp_path: Path, value: str) -> None:
    with pytest.raises(BadInput, match=rf"A variable is written in a way .* \(got: {re.escape(value)}\)"):
        read(tmp_path, f"services: {{one: {{image: 'redis:7', environment: {{A: '{value}'}}}}}}")


def test_half_a_second_of_grace_is_no_five_hundred_minutes_and_a_command_in_one_line_is_its_words(
        tmp_path: Path) -> None:
    one = read(tmp_path, "services: {one: {image: 'redis:7', stop_grace_period: 500ms, command: sh -c 'a b'}}")["one"]
    assert one.grace == 0.5
    assert one.command == ("sh", "-c", "a b")


@pytest.mark.parametrize("port", ["8080:8080", "0.0.0.0:http:80", "{target: 80}"])
def test_a_port_that_names_no_address_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(BadInput, match="The ports of one must be written HOST:PORT:PORT"):
        read(tmp_path, f"services: {{one: {{image: 'redis:7', ports: [{port}]}}}}")


@pytest.mark.parametrize("content", [b"NAME=a b\r\nOTHER=c\r\n", b'NAME="a b"\nOTHER=c\n',
                                     b"# why\nNAME='a b'\nOTHER=c"])
def test_crlf_quotes_and_comments_in_the_env_file_are_no_part_of_a_value(tmp_path: Path, content: bytes) -> None:
    assert env_of(tmp_path, content) == {"NAME": "a b", "OTHER": "c"}


def test_the_shell_wins_over_the_env_file(tmp_path: Path) -> None:
    assert env_of(tmp_path, b"NAME=file\n", NAME="shell", PORT="1") == {"NAME": "shell", "PORT": "1"}


def test_a_value_of_the_example_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"still holds the example's value for KEY, OTHER \(got: replace-me\)"):
        env_of(tmp_path, b"KEY=replace-me\nOTHER=replace-me\nFINE=x\n")


def test_the_shipped_topology_is_understood_whole() -> None:
    listed = [line.split("=")[0] for line in (PROJECT / ".env.example").read_text().splitlines() if "=" in line
              and not line.startswith("#")]
    services = compose.read_topology(PROJECT / "docker-compose.yml", dict.fromkeys(listed, "x"))
    assert services["worker"].instances == ["worker-1", "worker-2"]
    assert {name for name, service in services.items() if service.ports} == {"api-server", "mlflow"}


RECIPE = """FROM python:3.11
RUN apt-get install git
USER tollgate
WORKDIR /opt/tollgate
COPY --chown=tollgate a.txt b.txt ./
COPY --chown=tollgate code code
RUN make setup
COPY docker/x.sh docker/x.sh
ENV PATH=/opt/bin:$PATH
ARG COMMIT=none
ENV TOLLGATE_COMMIT=$COMMIT
"""


def test_the_image_gets_what_the_dockerfile_copies_and_the_ignore_file_lets_in(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt", "code/one.py", "code/__pycache__/one.pyc", "code/sub/two.py",
                 "docker/x.sh"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    recipe = image.read_recipe(RECIPE)
    assert recipe.runs == ("make setup",)
    assert recipe.environment == {"PATH": "/opt/bin:$PATH", "TOLLGATE_COMMIT": "none"}
    assert image.read_recipe(RECIPE, {"COMMIT": "abc"}).environment["TOLLGATE_COMMIT"] == "abc"
    rules = ["*", "!a.txt", "!code", "!docker/x.sh", "**/__pycache__"]
    files = ["a.txt", "code/one.py", "code/sub/two.py", "docker/x.sh"]
    assert image.files_of(tmp_path, recipe, rules) == {name: name for name in files}


def test_the_image_holds_everything_that_a_workspace_is_laid_out_from() -> None:
    docker = PROJECT / "docker"
    files = image.files_of(PROJECT, image.read_recipe((docker / "Dockerfile").read_text()),
                           (docker / "Dockerfile.dockerignore").read_text().splitlines())
    assert {"dvc.yaml", ".dvcignore", "params.yaml", ".dvc/config", "include/tollgate/cli/main.py",
            "dags/train_weekly.py", "plugins/tollgate_plugin.py", "docker/init.sh"} <= set(files)
    assert not [name for name in files if name.startswith(("tests/", "data/", ".git/")) or "__pycache__" in name]


def test_the_image_is_told_of_which_commit_it_is() -> None:
    recipe = image.read_recipe((PROJECT / "docker" / "Dockerfile").read_text(), {"COMMIT": "0" * 40})
    assert recipe.environment["TOLLGATE_COMMIT"] == "0" * 40
    build = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))["x-ours"]["build"]
    assert build["args"] == {"COMMIT": "${TOLLGATE_COMMIT:-none}"}
