"""A model that was fitted again after its gates: what is registered, compared with, made again and refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from published import publish_sent
from registry.world import BOOK, World, copy_of, let_through
from tests.databases import Databases

from tollgate import registry, stages
from tollgate.books import load_book
from tollgate.books.shipped import consumer
from tollgate.config import Params, load_params
from tollgate.errors import BadInput, Refused
from tollgate.features import Model, artefact_of, digest_of, gated_fit
from tollgate.registry.proof import prove
from tollgate.registry.rivalry import no_rivals

AFTER_THE_SHIFT, BEFORE_IT = date(2010, 1, 20), date(2009, 1, 1)
LIMITS = {"auc_min": 0.5001, "ks_min": 0.01, "false_negative_max": 0.9, "approval_min": 0.0, "cost_max": 50.0,
          "calibration_gap_max": 0.5, "calibration_slope_max": 50.0, "defaults_ratio_max": 50.0, "slice_gap_max": 0.9,
          "parity_gap_max": 0.9, "bootstrap_draws": 20, "refit_agreement_min": 0.01}


def params_of(as_of: date, **train: object) -> Params:
    params = load_params(book=BOOK, as_of=as_of)
    changes = {"snapshot": {"min_rows": 500, "min_defaults": 20}, "gates": LIMITS, "train": train,
               "sweep": {"trials": 4, "rounds_max": 40}}
    return params.model_copy(update={name: getattr(params, name).model_copy(update=keys)
                                     for name, keys in changes.items()})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Path:
    """A world in which the debt-to-income ratio turns its meaning round in 2007, and a run on each side of that."""
    folder = tmp_path_factory.mktemp("turned")
    with pytest.MonkeyPatch.context() as patch:
        databases.settle(patch, folder / "data")
        publish_sent(load_book(BOOK), consumer.simulate(seed=5, rows_a_month=200, scenario="concept_shift"))
        for name, as_of in (("after", AFTER_THE_SHIFT), ("before", BEFORE_IT)):
            run, params = folder / name, params_of(as_of)
            stages.describe(run, params)
            stages.pin_lake(run, params)
            (run / "champion.json").write_text(json.dumps(no_rivals(BOOK)))
            for stage in ("snapshot", "features", "split", "sweep", "train", "evaluate", "refit"):
                stages.STAGES[stage](run, params)
    return folder


@pytest.fixture
def world(trained: Path, home: Path, tmp_path: Path, settle: Callable[[Path], Path]) -> World:
    return copy_of(trained, settle(home), tmp_path)


def run_of(world: World, name: str = "after") -> Path:
    run = world.folder / f"run-{name}"
    shutil.copytree(world.made / name, run)
    (run / "champion.json").write_text(json.dumps(registry.rivals(BOOK)))
    let_through(run)
    return run


def test_what_is_registered_is_the_refit_and_it_holds_the_fit_that_was_judged(world: World) -> None:
    run = run_of(world)
    answer = registry.register(run, params_of(AFTER_THE_SHIFT))
    folder = registry.fetch_to_score(BOOK, answer["version"])
    assert answer["digest"] == digest_of(folder) == digest_of(run / "refit" / "model") != digest_of(run / "model")
    assert digest_of(gated_fit(folder)) == digest_of(run / "model")
    assert answer["refit"].startswith("Fitted again on all matured loans.")
    served, judged = Model.load(folder), Model.load(run / "model")
    assert served.fitted.parts() != judged.fitted.parts()
    assert served.about["refit"]["gated"] == digest_of(run / "model")
    assert served.about["refit"]["rows"] == json.loads((run / "snapshot.json").read_text())["rows"]
    card = registry.card(BOOK, answer["version"])
    assert card["facts"]["operating"]["threshold"] == served.threshold != judged.threshold
    assert "Agreement of both fits" in card["html"] and "fits that did not see them" in card["html"]


def test_a_model_that_the_newest_months_do_not_prove_better_is_not_fitted_again(world: World) -> None:
    run = run_of(world, "before")
    assert artefact_of(run) == run / "model"
    told = json.loads((run / "refit" / "refit.json").read_text())
    assert not told["refitted"]
    assert told["why"].startswith("Not fitted again: A fit on all matured loans but those of the test months ranks")
    answer = registry.register(run, params_of(BEFORE_IT))
    assert answer["digest"] == digest_of(run / "model")
    assert answer["refit"] == told["why"]


def test_nothing_is_fitted_again_where_the_parameters_say_never(world: World) -> None:
    run = run_of(world)
    stages.refit(run, params_of(AFTER_THE_SHIFT, refit="never"))
    assert artefact_of(run) == run / "model"
    assert "never" in json.loads((run / "refit" / "refit.json").read_text())["why"]


def test_a_refit_stays_away_where_its_own_decisions_would_not_pass(world: World) -> None:
    run, params = run_of(world), params_of(AFTER_THE_SHIFT)
    strict = params.model_copy(update={"gates": params.gates.model_copy(update={"approval_max": 0.01})})
    stages.refit(run, strict)
    told = json.loads((run / "refit" / "refit.json").read_text())
    assert artefact_of(run) == run / "model"
    assert [v["gate"] for v in told["verdicts"] if v["verdict"] == "refuse"] == ["approval_rate"]
    assert "approves" in told["why"]


@pytest.fixture
def judged(world: World) -> Iterator[tuple[Path, Params]]:
    """A run whose real gates passed, and its parameters."""
    run, params = run_of(world), params_of(AFTER_THE_SHIFT)
    stages.gate(run, params)
    assert stages.answer("gate", run)["passed"], stages.answer("gate", run)["table"]
    yield run, params


def test_a_refit_that_was_swapped_after_its_stage_is_refused(judged: tuple[Path, Params], tmp_path: Path) -> None:
    run, params = judged
    other = params.model_copy(update={"seed": 1})
    stages.refit(run, other)
    with pytest.raises(Refused, match="not what its loans and its judged model give"):
        stages.register(run, params)
    assert registry.models(BOOK) == []
    stages.refit(run, params)
    stages.register(run, params)
    assert len(registry.models(BOOK)) == 1
    assert registry.published_gates(BOOK, "1")


def test_a_refit_of_another_judged_model_is_refused(world: World) -> None:
    run = run_of(world)
    spec = run / "refit" / "model" / "gated" / "model.json"
    spec.write_text(json.dumps({**json.loads(spec.read_text()), "threshold": 0.99}))
    with pytest.raises(Refused, match="another model than the one that was judged"):
        registry.register(run, params_of(AFTER_THE_SHIFT))
    assert registry.models(BOOK) == []


def test_a_refit_that_was_taken_away_is_noticed(world: World) -> None:
    run = run_of(world)
    shutil.rmtree(run / "refit" / "model")
    with pytest.raises(Refused, match=r"refit\.json does not tell what is there"):
        registry.register(run, params_of(AFTER_THE_SHIFT))
    shutil.rmtree(run / "refit")
    with pytest.raises(BadInput, match=r"refit\.json of the run is missing"):
        registry.register(run, params_of(AFTER_THE_SHIFT))
    assert registry.models(BOOK) == []


def test_a_challenger_is_compared_with_the_judged_fit_of_a_champion_that_saw_the_test_months(world: World) -> None:
    run = run_of(world)
    version = registry.register(run, params_of(AFTER_THE_SHIFT))
    registry.promote(BOOK, version["version"], version["digest"], by="ann")
    champion = registry.champion(BOOK)
    assert champion is not None and champion.digest == version["digest"]
    pinned = registry.rivals(BOOK)
    assert (pinned["version"], pinned["digest"]) == (version["version"], digest_of(run / "model"))
    params = params_of(AFTER_THE_SHIFT)
    (run / "champion.json").write_text(json.dumps(pinned))
    stages.evaluate(run, params)
    stages.gate(run, params)
    compared = stages.verdict(run, "champion")
    assert compared["measured"] == 0  # the same judged fit, not the refit, which knows these labels


def test_a_refitted_model_proves_itself_and_is_made_again(world: World) -> None:
    run = run_of(world)
    registry.register(run, params_of(AFTER_THE_SHIFT))
    version = registry.challenger(BOOK)
    assert version is not None
    assert prove(version)["max_difference"] == 0
    made = registry.reproduce(BOOK, version.version)
    assert made["digest"] == version.digest == digest_of(artefact_of(run))
