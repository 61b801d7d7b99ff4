"""Airflow's API server as docker-compose.yml sets it up, on a PostgreSQL of its own: who may open which door."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from cluster.doors import DOORS, wrongly_open
from cluster.servers import postgres, running
from ports import free_port

from tollgate.config import PROJECT
from tollgate.demo.airflow import Airflow
from tollgate.errors import BadInput

PEOPLE = {"Admin": "ada", "Operator": "otto", "Approver": "anna", "Reader": "rita"}
PASSWORDS = {role: f"{name}-comes-in-by-this" for role, name in PEOPLE.items()}
API = "/api/v2"
RUN = f"{API}/dags/train_weekly/dagRuns/none"
ANSWER = {"chosen_options": ["Approve"], "params_input": {}}

# What is tried, and who may. Nothing of all this exists, so that whoever may is told 404, and whoever may not 403.
WRITES: dict[str, tuple[str, str, dict[str, Any] | None, set[str]]] = {
    "trigger a run": ("POST", f"{API}/dags/none/dagRuns", {"logical_date": None, "conf": {}}, {"Admin", "Operator"}),
    "clear tasks": ("POST", f"{API}/dags/none/clearTaskInstances", {"dry_run": True}, {"Admin", "Operator"}),
    "mark a task": ("PATCH", f"{RUN}/taskInstances/open", {"new_state": "success"}, {"Admin", "Operator"}),
    "pause a DAG": ("PATCH", f"{API}/dags/none", {"is_paused": True}, {"Admin", "Operator"}),
    "answer a question": ("PATCH", f"{RUN}/taskInstances/approve/-1/hitlDetails", ANSWER, {"Admin", "Approver"}),
    "delete a DAG": ("DELETE", f"{API}/dags/none", None, {"Admin"}),
    "delete a run": ("DELETE", RUN, None, {"Admin"}),
    "edit an XCom": ("PATCH", f"{RUN}/taskInstances/approve/xcomEntries/decision", {"value": "{}"}, {"Admin"}),
    "make an XCom": ("POST", f"{RUN}/taskInstances/approve/xcomEntries", {"key": "decision", "value": "{}"}, {"Admin"}),
    "delete a variable": ("DELETE", f"{API}/variables/none", None, {"Admin"}),
    "edit a connection": ("PATCH", f"{API}/connections/none", {"connection_id": "none", "conn_type": "aws"}, {"Admin"}),
    "delete a pool": ("DELETE", f"{API}/pools/none", None, {"Admin"}),
    "make an asset event": ("POST", f"{API}/assets/events", {"asset_id": 1}, {"Admin"}),
}
READS = ("/dags", "/assets", "/dags/~/dagRuns/~/hitlDetails", "/dags/~/dagRuns", "/importErrors")
SECRETS_OF_AIRFLOW = ("/variables", "/connections", "/eventLogs")  # for the administrator alone
# What answers without a login: that it lives, which version it is, what every Airflow of it can do, and the page that
# asks for a login.
OPEN = {f"{API}/monitor/health", f"{API}/version", "/openapi.json", "/execution/health", "/auth/login/"}

# Somebody gives readers all that the administrator may.
MEDDLE = """INSERT INTO ab_permission_view_role (id, permission_view_id, role_id)
SELECT -row_number() OVER (), had.permission_view_id, reader.id
FROM ab_permission_view_role had JOIN ab_role admin ON had.role_id = admin.id, ab_role reader
WHERE admin.name = 'Admin' AND reader.name = 'Reader' ON CONFLICT DO NOTHING"""


def connected(port: int, password: str) -> Any:
    """A connection to Airflow's database."""
    import psycopg2

    return psycopg2.connect(host="127.0.0.1", port=port, user="tollgate", dbname="airflow", password=password)


@dataclass(frozen=True)
class House:
    """A running API server, what it wrote, and what its secrets are."""

    url: str
    folder: Path
    secrets: tuple[str, ...]
    password_of_postgres: str
    port_of_postgres: int

    def as_(self, role: str) -> dict[str, str]:
        """The header of whoever holds this role."""
        login = {"username": PEOPLE[role], "password": PASSWORDS[role]}
        answer = requests.post(f"{self.url}/auth/token", json=login, timeout=60)
        assert answer.status_code == 201, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def knock(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> int:
        """The status of one request, redirects not followed."""
        return requests.request(method, f"{self.url}{path}", json=body, headers=headers, allow_redirects=False,
                                timeout=60).status_code


def environment(folder: Path, url: str, port: int, secrets: dict[str, str]) -> dict[str, str]:
    """What docker-compose.yml tells its Airflow services and its init job, with places of this machine."""
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
    told = compose["services"]["init"]["environment"]
    filled = {name: re.sub(r"\$\{(\w+)[^}]*\}", lambda match: secrets[match[1]], str(value))
              for name, value in told.items() if name.startswith(("AIRFLOW_", "PGPASSWORD"))}
    here = {name: value.replace("@postgres/", f"@127.0.0.1:{port}/").replace("/opt/tollgate/", f"{PROJECT}/")
            for name, value in filled.items() if not name.startswith(("AIRFLOW__CELERY", "AIRFLOW__LOGGING"))}
    path = f"{PROJECT / '.venv-airflow' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**here, "PATH": path, "AIRFLOW_HOME": str(folder / "airflow"), "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__PORT": url.rpartition(":")[2],
            "AIRFLOW__API__WORKERS": "1", "TOLLGATE_PROJECT": str(PROJECT), "TOLLGATE_DATA": str(folder / "data")}


def secrets_of() -> dict[str, str]:
    """A value for everything in .env.example that is to be replaced."""
    listed = re.findall(r"^(\w+)=", (PROJECT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    made = {name: f"{name.lower().replace('_', '-')}-0123456789abcdef0123456789" for name in listed}
    for role in ("Admin", "Operator", "Approver"):
        made[f"AIRFLOW_{role.upper()}_NAME"] = PEOPLE[role]
        made[f"AIRFLOW_{role.upper()}_PASSWORD"] = PASSWORDS[role]
    return {**made, "AIRFLOW_FERNET_KEY": "dG9sbGdhdGUtdG9sbGdhdGUtdG9sbGdhdGUtMTIzNDU="}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Migrated, peopled by init's own script, meddled with, peopled again as at every start, and served."""
    folder, secrets, port = tmp_path_factory.mktemp("house"), secrets_of(), free_port()
    url = f"http://127.0.0.1:{port}"
    with postgres(folder, secrets["POSTGRES_PASSWORD"]) as database:
        told = environment(folder, url, database.port, secrets)
        log = folder / "init.log"

        def run(*command: str) -> None:
            with log.open("ab") as written:
                subprocess.run([f"{PROJECT}/.venv-airflow/bin/{command[0]}", *command[1:]], env=told, cwd=PROJECT,
                               stdout=written, stderr=written, check=True)

        run("airflow", "db", "migrate")
        run("python", "docker/doors/airflow_people.py")
        with connected(database.port, secrets["POSTGRES_PASSWORD"]) as link, link.cursor() as cursor:
            cursor.execute(MEDDLE)
            assert cursor.rowcount > 50
        run("python", "docker/doors/airflow_people.py")

        def up() -> bool:
            try:
                return requests.get(f"{url}{API}/monitor/health", timeout=5).ok
            except requests.RequestException:
                return False

        kept = tuple(value for name, value in secrets.items() if not name.endswith("_NAME"))
        server = [f"{PROJECT}/.venv-airflow/bin/airflow", "api-server"]
        with running(server, folder / "api-server.log", up, environment=told):
            made = House(url, folder, kept, secrets["POSTGRES_PASSWORD"], database.port)
            reader = {"username": "rita", "password": PASSWORDS["Reader"], "email": "rita@tollgate.invalid",
                      "first_name": "Rita", "last_name": "Reader", "roles": [{"name": "Reader"}]}
            assert made.knock("POST", "/auth/fab/v1/users", reader, made.as_("Admin")) == 200
            yield made


def test_each_role_may_do_what_its_line_of_the_table_says_and_nothing_else(house: House) -> None:
    may: dict[str, set[str]] = {what: set() for what in WRITES}
    for role in PEOPLE:
        headers = house.as_(role)
        for what, (method, path, body, _) in WRITES.items():
            status = house.knock(method, path, body, headers)
            assert status in (403, 404), f"{role}, {what}: {status}"
            if status == 404:
                may[what].add(role)
    assert may == {what: who for what, (_, _, _, who) in WRITES.items()}


def test_every_role_reads_and_the_administrator_alone_reads_secrets(house: House) -> None:
    for role in PEOPLE:
        headers = house.as_(role)
        assert {path: house.knock("GET", API + path, None, headers) for path in READS} == dict.fromkeys(READS, 200)
        assert {house.knock("GET", API + path, None, headers) for path in SECRETS_OF_AIRFLOW} == {
            200 if role == "Admin" else 403}
        assert house.knock("GET", f"{API}/config", None, headers) == 403  # shows passwords, to nobody
        assert house.knock("GET", "/auth/fab/v1/users", None, headers) == (200 if role == "Admin" else 403)


def test_every_role_sees_the_model_board_and_a_login_without_a_role_does_not(house: House) -> None:
    for role in PEOPLE:
        assert house.knock("GET", "/tollgate/", None, house.as_(role)) == 307
    nobody = {"username": "noel", "password": "noel-comes-in-by-this", "email": "noel@tollgate.invalid",
              "first_name": "Noel", "last_name": "None", "roles": [{"name": "Public"}]}
    assert house.knock("POST", "/auth/fab/v1/users", nobody, house.as_("Admin")) == 200
    login = {"username": "noel", "password": "noel-comes-in-by-this"}
    token = requests.post(f"{house.url}/auth/token", json=login, timeout=60).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("/tollgate/", "/tollgate/consumer", "/tollgate/runs/x/gates", f"{API}/dags"):
        assert house.knock("GET", path, None, headers) == 403, path


def test_nothing_is_told_without_a_login(house: House) -> None:
    for method, path, body, _ in WRITES.values():
        assert house.knock(method, path, body) == 401, path
    for path in (*(API + path for path in (*READS, *SECRETS_OF_AIRFLOW, "/config", "/plugins", "/jobs")),
                 "/ui/config", "/tollgate/", "/tollgate/consumer", "/tollgate/runs/x/gates", "/tollgate/x/card/1",
                 "/execution/variables/none", "/execution/connections/none", "/auth/fab/v1/users"):
        assert house.knock("GET", path) == 401, path
    for path in ("/auth/users/list/", "/auth/roles/list/", "/auth/users/add"):
        assert house.knock("GET", path) == 302, path
    for path in ("/auth/register/", "/auth/register/form"):
        assert house.knock("GET", path) == 404, path
    shell = requests.get(house.url, timeout=60).text  # the page that asks for everything else, and is told 401
    for path in ("/docs", "/redoc", "/dags/train_weekly"):
        assert requests.get(f"{house.url}{path}", timeout=60).text == shell, path
    assert {path for path in OPEN if house.knock("GET", path) != 200} == set()


def test_the_doors_of_the_api_server_are_shut(house: House) -> None:
    doors = [replace(door, port=int(house.url.rpartition(":")[2])) for door in DOORS if door.service == "api-server"]
    assert doors
    assert [told for door in doors if (told := wrongly_open(door, "127.0.0.1"))] == []


def test_a_wrong_password_is_named_and_is_no_passing_fault(house: House) -> None:
    with pytest.raises(BadInput, match="does not know this login .got: otto") as caught:
        Airflow(house.url, "otto", "guessed").runs("train_weekly")
    assert "guessed" not in str(caught.value)
    with pytest.raises(BadInput, match="does not know this login .got: none"):  # nobody is let in for being near
        Airflow(house.url).questions()


def test_the_client_is_whoever_it_logs_in_as(house: House) -> None:
    assert Airflow(house.url, "anna", PASSWORDS["Approver"]).questions() == []
    with pytest.raises(BadInput, match="does not let this login POST /dags/train_weekly/dagRuns .got: anna"):
        Airflow(house.url, "anna", PASSWORDS["Approver"]).trigger("train_weekly", "by-anna", {})
    assert PASSWORDS["Approver"] not in repr(Airflow(house.url, "anna", PASSWORDS["Approver"]))


def test_a_browsers_cookies_are_out_of_reach_of_scripts_and_of_other_sites(house: House) -> None:
    browser = requests.Session()
    page = browser.get(f"{house.url}/auth/login/", timeout=60).text
    ticket = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert ticket
    login = {"username": "anna", "password": PASSWORDS["Approver"]}
    assert requests.post(f"{house.url}/auth/login/", data=login, timeout=60).status_code == 400  # without the ticket
    answer = browser.post(f"{house.url}/auth/login/", data={**login, "csrf_token": ticket[1]}, allow_redirects=False,
                          timeout=60)
    cookies = [value for name, value in answer.raw.headers.items() if name.lower() == "set-cookie"]
    assert {cookie.partition("=")[0] for cookie in cookies} == {"_token", "session"}
    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies)
    assert browser.get(f"{house.url}{API}/dags", timeout=60).ok


def test_no_secret_is_in_a_log_and_no_password_in_the_database(house: House) -> None:
    for log in house.folder.glob("*.log"):
        text = log.read_text(encoding="utf-8", errors="replace")
        assert text
        assert not [secret for secret in house.secrets if secret in text], log.name
    with connected(house.port_of_postgres, house.password_of_postgres) as link, link.cursor() as cursor:
        cursor.execute("SELECT username, password FROM ab_user")
        kept = dict(cursor.fetchall())
    assert set(PEOPLE.values()) <= set(kept)
    assert all(value.startswith(("scrypt:", "pbkdf2:")) for value in kept.values())


def test_the_answers_name_is_the_login_name_of_whoever_gave_it() -> None:
    # Airflow keeps get_name() of the user beside an answer, and the ledger's "by" is that.
    ask = ("import json; from airflow.providers.fab.auth_manager.models import User; u = User(); u.id = 7; "
           "u.username = 'anna'; print('NAME' + json.dumps([u.get_id(), u.get_name()]))")
    said = subprocess.run([f"{PROJECT}/.venv-airflow/bin/python", "-c", ask], capture_output=True, text=True,
                          check=True).stdout
    assert json.loads(said.partition("NAME")[2]) == ["7", "anna"]


def test_one_person_is_not_let_to_be_operator_and_approver(house: House) -> None:
    told = environment(house.folder, house.url, house.port_of_postgres, secrets_of())
    said = subprocess.run([f"{PROJECT}/.venv-airflow/bin/python", "docker/doors/airflow_people.py"], cwd=PROJECT,
                          env={**told, "AIRFLOW_OPERATOR_NAME": "anna"}, capture_output=True, text=True)
    assert said.returncode == 1
    assert "must name three people" in said.stderr
    assert PASSWORDS["Approver"] not in said.stderr
