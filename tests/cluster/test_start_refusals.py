"""What keeps a cluster from being started is said before anything is, with the remedy."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ports import free_port
from tests import scratch
from tests.cluster.running import BUILT_FROM

from tollgate.cluster import control, image
from tollgate.cluster.compose import read_topology
from tollgate.cluster.enter import Bind, Spec, in_namespaces
from tollgate.cluster.supervisor import LIBRARIES, POLL_SECONDS, SYSTEM, Supervisor
from tollgate.config import PROJECT
from tollgate.errors import BadInput
from tollgate.services import postgres

START = "from tollgate import cluster; cluster.start(print)"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> scratch.Scratch:
    made = scratch.make(tmp_path / "project")
    for name in BUILT_FROM:
        (made.folder / name).symlink_to(PROJECT / name)
    for name, value in made.places.items():
        monkeypatch.setenv(name, value)
    return made


def start() -> None:
    control.start(lambda line: None)


@pytest.mark.parametrize(("variable", "service"), [("TOLLGATE_AIRFLOW_PORT", "api-server"),
                                                   ("TOLLGATE_MLFLOW_PORT", "mlflow")])
def test_a_port_in_use_is_named_with_the_setting_that_moves_it(
        project: scratch.Scratch, monkeypatch: pytest.MonkeyPatch, variable: str, service: str) -> None:
    monkeypatch.setenv("TOLLGATE_AIRFLOW_PORT", str(free_port()))
    monkeypatch.setenv("TOLLGATE_MLFLOW_PORT", str(free_port()))
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        port = theirs.getsockname()[1]
        monkeypatch.setenv(variable, str(port))
        with pytest.raises(BadInput) as caught:
            start()
    assert str(caught.value) == (f"The port of {service} cannot be had: Address already in use (got: 127.0.0.1:{port})."
                                 f" Free it, or set {variable} to another, in .env or the shell.")
    assert control.status() == {}


def test_a_first_start_makes_an_env_file_that_nobody_else_can_read_and_no_two_secrets_alike(
        project: scratch.Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_AIRFLOW_PORT", "none")
    with pytest.raises(BadInput, match="The ports of api-server must be written HOST:PORT:PORT"):
        start()
    made = project.folder / ".env"
    assert made.stat().st_mode & 0o777 == 0o600
    values = [line.split("=", 1)[1] for line in made.read_text().splitlines() if "=" in line and "#" not in line]
    long = [value for value in values if len(value) > 40]
    assert "replace-me" not in values
    assert len(set(long)) == len(long) >= 12


def test_a_disk_that_is_nearly_full_is_told_before_anything_is_laid_out(
        project: scratch.Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "FREE_BYTES", 1 << 60)
    with pytest.raises(BadInput, match=r"A cluster needs \d+ GB of free disk .*TOLLGATE_DATA"):
        start()
    assert not (project.folder / ".env").exists()


def test_a_kernel_without_namespaces_is_told_with_the_setting_that_allows_them(project: scratch.Scratch) -> None:
    without = ["unshare", "--user", "--map-root-user", "sh", "-c",
               'echo 0 >/proc/sys/user/max_user_namespaces && exec "$0" "$@"', sys.executable, "-c", START]
    done = subprocess.run(without, capture_output=True, text=True, check=False)
    assert "This kernel lets no namespaces be made" in done.stderr
    assert "kernel.unprivileged_userns_clone=1" in done.stderr


def test_how_all_stand_is_told_again_once_the_disk_has_room(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text("services: {one: {image: 'redis:7'}}")
    folder = tmp_path / "full"  # where nothing can be written until it is there
    supervisor = Supervisor(folder, read_topology(tmp_path / "compose.yml", {}), {}, PROJECT)

    async def told() -> str:
        telling = asyncio.create_task(supervisor._tell())
        await asyncio.sleep(2 * POLL_SECONDS)
        folder.mkdir()
        async with asyncio.timeout(60):
            while not (folder / "state.json").exists():
                await asyncio.sleep(POLL_SECONDS)
        telling.cancel()
        return (folder / "state.json").read_text()

    assert '"state": "waiting"' in asyncio.run(told())


def test_a_volume_of_another_postgresql_is_told_with_both_versions(tmp_path: Path) -> None:
    volume = tmp_path / "volume" / "17" / "docker"
    volume.mkdir(parents=True)
    (volume / "PG_VERSION").write_text("17\n")
    standins = PROJECT / "include" / "tollgate" / "cluster" / "standins"
    path = f"{Path(postgres.binary('postgres')).parent}:{':'.join(SYSTEM)}"
    house = tmp_path / "house"
    shutil.copytree(standins, house)
    spec = Spec(name="postgres", command=("/standins/standin-postgres",), environment={"PATH": path}, cwd="/",
                binds=(Bind(str(tmp_path / "volume"), "/var/lib/postgresql"), Bind(str(house), "/standins"),
                       Bind(str(Path(sys.prefix)), sys.prefix, read_only=True)))
    done = subprocess.run(["unshare", "--user", "--map-root-user", *in_namespaces(spec, tmp_path)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "The volume holds databases of PostgreSQL 17, and this is 18" in done.stderr


def test_an_instance_sees_the_system_and_its_own_files_and_nothing_of_this_machines_people(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    spec = Spec(name="one", command=("sh", "-c", "hostname; id -un; ls / /home; touch /mine/here; ls /proc | grep -c "
                                     "'^[0-9]'"),
                environment={"PATH": ":".join(SYSTEM)}, cwd="/", binds=(Bind(str(tmp_path / "mine"), "/mine"),))
    done = subprocess.run(["unshare", "--user", "--map-root-user", *in_namespaces(spec, tmp_path)],
                          capture_output=True, text=True, check=True)
    lines = done.stdout.split()
    assert lines[:2] == ["one", "tollgate"]
    assert not {path.name for path in Path("/").iterdir()} & set(lines) - {
        "bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "opt", "proc", "root", "run", "sbin", "tmp",
        "usr", "var"}
    assert int(lines[-1]) < 10
    assert (tmp_path / "mine" / "here").exists()


def test_the_programs_of_the_servers_come_with_the_environment() -> None:
    assert LIBRARIES.startswith(image.HOUSE)
    assert Path(postgres.binary("postgres")).exists()
    assert control._redis_of_wheel() or shutil.which("redis-server")
