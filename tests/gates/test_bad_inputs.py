"""Bad input to training, from the lender's file through every stage to the words that a person reads."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.databases import Databases
from tests.gates.bad_inputs import AS_OF, CASES, Case

from tollgate import registry, stages
from tollgate.books.shipped import consumer
from tollgate.config import PROJECT, Params, load_params
from tollgate.errors import Refused, TollgateError

Settle = Callable[[Path], Path]
SMALL = {"sweep": {"trials": 2}, "gates": {"bootstrap_draws": 50}}
STEPS = ("describe", "history", "rivals", "snapshot", "features", "split", "sweep", "train", "evaluate", "refit")
MADE = ("metrics.json", "gates.json", "gates.md", "gates.html", "model/profile.json", "model/scorecard.json")
NO_NUMBER = re.compile(r"\b(nan|inf|infinity)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def params() -> Params:
    shipped = load_params(PROJECT / "params.yaml", book="consumer", as_of=AS_OF)
    return shipped.model_copy(update={section: getattr(shipped, section).model_copy(update=keys)
                                      for section, keys in SMALL.items()})


@pytest.fixture(scope="module")
def loans(params: Params) -> pa.Table:
    """What an honest lender has: 400 loans a month, of the months that had matured, each of another person.

    They are booked on the day on which they are asked for.
    """
    sent = consumer.simulate(seed=params.seed, rows_a_month=400, last_month="2004-12")
    for name, values in (("customer_id", sent["loan_id"]), ("decided_after", pa.array([0] * sent.num_rows)),
                         ("booked_after", pa.array([0] * sent.num_rows))):
        sent = sent.set_column(sent.column_names.index(name), name, values)
    return sent


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, databases: Databases, params: Params, loans: pa.Table) -> Path:
    """A home in which nothing is wrong: MLflow without a model, and a run up to its evidence."""
    home = tmp_path_factory.mktemp("honest")
    with pytest.MonkeyPatch.context() as patch:
        databases.settle(patch, home)
        send(home, loans)
        assert said(home / "run", params, STEPS) == {}
    return home


def send(home: Path, loans: pa.Table) -> None:
    """Put the loans where the lender's system keeps them, as fetching the book would."""
    place = home / "sources" / "consumer"
    place.mkdir(parents=True)
    pq.write_table(loans, place / "source.parquet")


def said(run: Path, params: Params, steps: Iterable[str]) -> dict[str, str]:
    """What the stage says that gives up, by its name; nothing when none does."""
    for name in steps:
        try:
            stages.STAGES[name](run, params)
        except TollgateError as err:
            return {name: str(err)}
    return {}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.item}: {case.done}")
def test_what_is_said_of_it_is_what_the_page_says(case: Case, honest: Path, loans: pa.Table, home: Path,
                                                  settle: Settle, params: Params) -> None:
    run = home / "run"
    if case.loans:
        settle(home)
        send(home, case.loans(loans))
        found = said(run, params, [*STEPS, "gate"])
    else:
        settle(Path(shutil.copytree(honest, home)))
        case.spoil(run)
        found = said(run, params, ["gate"])
    if not found:
        verdicts = {v["gate"]: v for v in json.loads((run / "gates.json").read_text())["verdicts"]}
        assert not [name for name in MADE if NO_NUMBER.search((run / name).read_text())]
        assert case.passes or {verdicts[gate]["verdict"] for gate in case.says} >= {"refuse"}
        found = {gate: v["sentence"] for gate, v in verdicts.items()}
        assert (said(run, params, ["register"]) == {}) is case.passes
        for gate in (gate for gate, v in verdicts.items() if v["verdict"] == "refuse"):
            with pytest.raises(Refused, match=f"^The gate {gate} refuses: (?!Refused)"):
                stages.verdict(run, gate)
    for who, words in case.says.items():
        assert re.search(".+".join(map(re.escape, words.split("…"))), found[who]), found[who]
    assert (registry.challenger("consumer") is not None) is case.passes


def test_an_honest_lender_gets_a_model_past_the_gates(honest: Path, home: Path, settle: Settle,
                                                        params: Params) -> None:
    settle(Path(shutil.copytree(honest, home)))
    assert said(home / "run", params, ["gate", "register"]) == {}
