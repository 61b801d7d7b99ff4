from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from deltalake import write_deltalake

from tollgate import lake
from tollgate.books import load_book
from tollgate.config import settings
from tollgate.errors import BadInput, Refused
from tollgate.ingest import migrate
from tollgate.requests import ask, claim, close, open_request, open_requests

DAY = date(2007, 3, 1)


def _open(key: str, as_of: date = DAY, cooldown_days: int = 180) -> str:
    return str(open_request("consumer", key, as_of, "it drifted", cooldown_days=cooldown_days,
                            expiry_days=60)["key"])


def test_a_request_lives_from_open_through_claimed_to_closed(home: Path) -> None:
    assert open_requests() == []
    assert _open("k1") == "k1"
    assert open_requests("consumer") == [
        {"book": "consumer", "key": "k1", "as_of": "2007-03-01", "cause": "drift", "reason": "it drifted",
         "state": "open", "run_id": ""}]
    assert claim("consumer", "k1", "run a") == {
        "key": "k1", "as_of": "2007-03-01", "reason": "it drifted", "claimed": True}
    assert [(r["state"], r["run_id"]) for r in open_requests()] == [("claimed", "run a")]
    close("consumer", "k1", "promoted v2")
    assert open_requests() == []


def test_every_book_is_looked_through_when_none_is_named_the_oldest_request_first(home: Path) -> None:
    _open("k1")
    open_request("sba", "s1", DAY, "drift", cooldown_days=1, expiry_days=60)
    open_request("card", "c1", date(2007, 2, 1), "drift", cooldown_days=1, expiry_days=60)
    assert [(r["book"], r["key"]) for r in open_requests()] == [("card", "c1"), ("consumer", "k1"), ("sba", "s1")]
    with pytest.raises(BadInput):
        open_requests("no such book")


def test_a_claim_belongs_to_one_run_and_that_run_may_repeat_it(home: Path) -> None:
    _open("k1")
    claim("consumer", "k1", "run a")
    before = lake.version(lake.requests("consumer"))
    claim("consumer", "k1", "run a")
    assert lake.version(lake.requests("consumer")) == before
    with pytest.raises(Refused, match="run a"):
        claim("consumer", "k1", "run b")


def test_the_claim_of_a_run_that_has_ended_is_taken_over_once_and_the_table_keeps_both(home: Path) -> None:
    _open("k1")
    claim("consumer", "k1", "run a")
    assert claim("consumer", "k1", "run b", ended="run a")["claimed"] is True
    assert [(r["state"], r["run_id"]) for r in open_requests()] == [("claimed", "run b")]
    with pytest.raises(Refused, match="run b"):
        claim("consumer", "k1", "run c", ended="run a")
    events = lake.read(lake.requests("consumer")).to_pylist()
    assert [(e["kind"], e["run_id"]) for e in sorted(events, key=lambda e: e["seq"])] == [
        ("opened", ""), ("claimed", "run a"), ("claimed", "run b")]
    close("consumer", "k1", "promoted v2")
    with pytest.raises(Refused, match="closed"):
        claim("consumer", "k1", "run c", ended="run b")


def test_a_refused_claim_tells_a_person_the_command_that_takes_it_over(home: Path) -> None:
    _open("k1")
    claim("consumer", "k1", "run a")
    with pytest.raises(Refused) as refused:
        claim("consumer", "k1", "run b")
    said = re.search(r"by hand: tollgate (requests claim [^;]*);", str(refused.value))
    assert said
    done = subprocess.run([Path(sys.executable).with_name("tollgate"), *shlex.split(said[1])], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    listed = subprocess.run([Path(sys.executable).with_name("tollgate"), "requests", "list"], capture_output=True,
                            text=True)
    assert [(r["state"], r["run_id"]) for r in json.loads(listed.stdout)["requests"]] == [("claimed", "run b")]


def test_of_two_processes_racing_to_take_over_one_has_it_and_the_other_is_told(home: Path) -> None:
    _open("k1")
    claim("consumer", "k1", "dead")
    racers = [subprocess.Popen([sys.executable, "-c", HEIR, run], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE) for run in ("run a", "run b")]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = {run: racer.communicate()[0].strip()
               for run, racer in zip(("run a", "run b"), racers, strict=True)}
    (request,) = open_requests("consumer")
    assert sorted(answers.values()) == ["Refused", "True"]
    assert answers[request["run_id"]] == "True"


def test_a_closed_request_is_not_claimed_nor_closed_otherwise(home: Path) -> None:
    _open("k1")
    close("consumer", "k1", "dismissed")
    close("consumer", "k1", "dismissed")
    with pytest.raises(Refused, match="dismissed"):
        claim("consumer", "k1", "run a")
    with pytest.raises(Refused, match="dismissed"):
        close("consumer", "k1", "promoted")


def test_an_unknown_key_is_named(home: Path) -> None:
    for act in (lambda: claim("consumer", "nothing", "run a"), lambda: close("consumer", "nothing", "done")):
        with pytest.raises(BadInput, match="nothing"):
            act()


def test_no_second_request_while_one_is_open_or_claimed_however_old_the_claim(home: Path) -> None:
    _open("k1")
    assert _open("k2", date(2007, 4, 29)) == "k1"
    claim("consumer", "k1", "run a")
    assert _open("k2", date(2009, 1, 1)) == "k1"


def test_a_request_that_no_run_has_claimed_expires_when_the_next_is_asked_for(home: Path) -> None:
    _open("k1")
    assert _open("k2", date(2007, 4, 30), cooldown_days=1_000) == "k2", "60 days later; and no cool-down follows"
    assert [r["key"] for r in open_requests("consumer")] == ["k2"]
    (expired,) = [e for e in lake.read(lake.requests("consumer")).to_pylist() if e["kind"] == "closed"]
    assert (expired["key"], expired["outcome"]) == ("k1", "expired")
    assert "no run has claimed it by 2007-04-30" in expired["result"]


@pytest.mark.parametrize(("outcome", "answer"), [
    ("promoted", "k1"), ("rejected", "k1"), ("refused", "k1"), ("dismissed", "k1"), ("failed", "k2")])
def test_only_a_verdict_starts_the_cool_down_not_a_training_that_broke_off(home: Path, outcome: str,
                                                                         answer: str) -> None:
    _open("k1")
    close("consumer", "k1", "what came of it", outcome)
    assert _open("k2", date(2007, 3, 2)) == answer


def test_a_request_that_an_older_tollgate_closed_cools_down(home: Path) -> None:
    table = lake.requests("consumer")
    older = [name for name in table.schema.names if name not in ("cause", "outcome")]
    _open("k1")
    close("consumer", "k1", "promoted")
    events = lake.read(table).select(older)
    write_deltalake(f"{settings().lake}/consumer/requests", events, mode="overwrite", schema_mode="overwrite",
                    partition_by=["kind"])
    with pytest.raises(BadInput, match="ingest migrate consumer"):
        open_requests("consumer")
    migrate(load_book("consumer"))
    assert _open("k2", date(2007, 4, 1)) == "k1"


def test_a_person_may_ask_within_the_cool_down_and_again_but_not_beside_another(home: Path) -> None:
    _open("k1")
    waiting = ask("consumer", DAY, "a new bureau score", expiry_days=60)
    assert (waiting["key"], waiting["opened"]) == ("k1", False)
    close("consumer", "k1", "promoted", "promoted")
    keys = []
    for _ in range(2):
        asked = ask("consumer", DAY, "a new bureau score", expiry_days=60)
        assert asked["opened"]
        (request,) = open_requests("consumer")
        assert (request["cause"], request["reason"]) == ("by hand", "a new bureau score")
        close("consumer", asked["key"], "refused", "refused")
        keys.append(asked["key"])
    assert keys == ["consumer-by-hand-2007-03-01", "consumer-by-hand-2007-03-01-2"]
    with pytest.raises(BadInput, match="reason"):
        ask("consumer", DAY, "  ", expiry_days=60)


@pytest.mark.parametrize(("as_of", "answer"), [
    (date(2007, 8, 27), "k1"),  # 179 days later: still cooling down
    (date(2007, 8, 28), "k2"),  # 180 days later
    (date(2006, 12, 1), "k1"),  # a backfill near it
    (date(2006, 8, 1), "k2"),   # and one far before it
])
def test_the_cool_down_counts_from_the_as_of_of_a_closed_request(home: Path, as_of: date, answer: str) -> None:
    _open("k1")
    close("consumer", "k1", "refused")
    assert _open("k2", as_of) == answer


RACER = """
import sys
from datetime import date
from tollgate.requests import open_request
sys.stdin.readline()
print(open_request("consumer", sys.argv[1], date(2007, 3, 1), "drift", cooldown_days=180, expiry_days=60)["key"],
      flush=True)
sys.stdin.readline()
"""

HEIR = """
import sys
from tollgate.errors import Refused
from tollgate.requests import claim
print("ready", flush=True)
sys.stdin.readline()
try:
    print(claim("consumer", "k1", sys.argv[1], ended="dead")["claimed"], flush=True)
except Refused as refused:
    print(type(refused).__name__, flush=True)
"""


@pytest.mark.parametrize("keys", [("k", "k"), ("k1", "k2")])
def test_two_processes_racing_to_open_leave_one_request(home: Path, keys: tuple[str, str]) -> None:
    racers = [subprocess.Popen([sys.executable, "-c", RACER, key], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE) for key in keys]
    answers = []
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        answers.append(racer.stdout.readline().strip())
    for racer in racers:
        racer.communicate("\n")
    (request,) = open_requests("consumer")
    assert set(answers) == {request["key"]}


def test_requests_outlive_the_process_that_opened_them(home: Path) -> None:
    _open("k1")
    child = subprocess.run([sys.executable, "-c", "import json; from tollgate.requests import claim, open_requests;"
                            "claim('consumer', 'k1', 'run a'); print(json.dumps(open_requests()), flush=True)"],
                           capture_output=True, text=True)
    assert [r["state"] for r in json.loads(child.stdout)] == ["claimed"]
    with pytest.raises(Refused):
        claim("consumer", "k1", "run b")


def test_asking_for_requests_loads_nothing_of_the_model_stack(home: Path) -> None:
    heavy = ("tollgate.monitoring", "tollgate.features", "scipy", "sklearn", "xgboost", "mlflow", "evidently", "duckdb")
    child = subprocess.run([sys.executable, "-c", "import sys; from tollgate.requests import open_requests;"
                            f"open_requests(); print([m for m in {heavy} if m in sys.modules], flush=True)"],
                           capture_output=True, text=True)
    assert child.stdout.strip() == "[]"
