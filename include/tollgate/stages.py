"""The DVC stages: each reads and writes files under ``run/``, and nothing else that it keeps.

``dvc repro`` on a laptop and ``train_weekly`` in Airflow run these same functions. A stage writes; ``answer`` reads
what it wrote, so that a stage that DVC found unchanged answers too.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tollgate import gates, ingest, labels, lake, registry, training
from tollgate.books import APPLICANT, Book, book_files, load_book
from tollgate.config import Params, read_params, settings
from tollgate.errors import BadInput, Refused
from tollgate.features import (
    BASELINE,
    GATED,
    Calibration,
    Histories,
    Model,
    artefact_of,
    check_sizes,
    digest_of,
    make_features,
)
from tollgate.run_files import missing, open_rows, read_json, read_rows, write_csv, write_json, write_pieces, write_rows

Answer = dict[str, Any]


def describe(run: Path, params: Params) -> None:
    """Write down the run's parameters, and the code of its book: what the other stages depend on."""
    run.mkdir(exist_ok=True)
    (run / "params.yaml").write_text(params.to_yaml(), encoding="utf-8")
    write_json(run / "book.json", _book_of(params))


def open_run(run: Path, params: Params) -> None:
    """All that a run stands on, once and for ever: its parameters, its book, the lake, the champion."""
    describe(run, params)
    pin(run, params)


def read_described(run: Path) -> Params:
    """The parameters of a run. Raises ``BadInput`` when the book here is not the one that it was opened with."""
    if not (run / "params.yaml").exists():
        raise missing(run / "params.yaml")
    params = read_params(run / "params.yaml")
    then, now = read_json(run / "book.json")["files"], _book_of(params)["files"]
    if changed := sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name)):
        raise BadInput(f"The book {params.book} is not what it was when the run was opened", value=", ".join(changed),
                       remedy="Bring that code back, or begin anew: by `dvc repro`, in Airflow by a new run.")
    return params


def _book_of(params: Params) -> Answer:
    load_book(params.book)
    return {"book": params.book, "files": book_files(params.book)}


def fetch(run: Path, params: Params) -> None:
    """Bring the book's source data, where somebody plays its lender, and write down what came."""
    folder, sender = settings().data / "sources" / params.book, load_book(params.book).sender
    if sender is None:
        write_json(run / "source.json", {})
        return
    sender.fetch(folder, lambda done, total: None, params.seed, "stationary")
    write_json(run / "source.json", {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                                      for path in sorted(folder.iterdir()) if path.is_file()})


def history(run: Path, params: Params) -> None:
    """Land and ingest everything before the as-of that the lake has not seen yet; then pin what it shows."""
    ingest.bring_history(load_book(params.book), params.as_of, params.ingest)
    pin_lake(run, params)


def pin(run: Path, params: Params) -> None:
    """Fix what the run stands on: what the lake shows as of now, and whom its challenger is compared with."""
    pin_lake(run, params)
    rivals(run, params)


def pin_lake(run: Path, params: Params) -> None:
    """Fix what the lake shows as of now."""
    book = load_book(params.book)
    write_json(run / "delta.json", {t.name: lake.version(lake.published(book, t.name)) for t in book.tables})
    write_json(run / "lake.json", training.pin_lake(book, params))


def rivals(run: Path, params: Params) -> None:
    """Fix whom the challenger is compared with: the champion, former champions, and what was compared with them."""
    write_json(run / "champion.json", registry.rivals(params.book))


def snapshot(run: Path, params: Params) -> None:
    """The exact training rows."""
    taken = training.take_snapshot(load_book(params.book), params, read_json(run / "lake.json"),
                                   read_json(run / "delta.json"))
    write_rows(run / "snapshot.parquet", taken.rows)
    write_rows(run / "declined.parquet", taken.declined)
    write_json(run / "histories" / "rows.json", {name: rows.num_rows for name, rows in taken.histories.items()})
    for name, rows in taken.histories.items():
        write_rows(run / "histories" / f"{name}.parquet", rows)
    write_rows(run / "feed.parquet", taken.feed)
    write_json(run / "snapshot.json", taken.record)


def features(run: Path, params: Params) -> None:
    """The raw features of the snapshot, with label and protected attributes beside them."""
    book, rows = load_book(params.book), open_rows(run / "snapshot.parquet")
    histories = _histories(run, book)
    write_pieces(run / "features.parquet", (_featured(book, piece, histories) for piece in rows.pieces()))


def split(run: Path, params: Params) -> None:
    """Which rows train, choose and judge; and which features a model may take, chosen on the training rows."""
    book, rows = load_book(params.book), open_rows(run / "snapshot.parquet")
    parts = training.assign(book, params, rows)
    trains = pc.equal(parts["split"], "train")
    who = rows.filter(trains)[APPLICANT].combine_chunks() if book.grouped else None
    write_rows(run / "split.parquet", parts)
    write_json(run / "selection.json",
                training.select(book, open_rows(run / "features.parquet").filter(trains), who, params))


def sweep_work(run: Path, params: Params) -> Answer:
    """One worker's share of the sweep: it climbs with the others until every rung is whole."""
    tried = training.work(training.open_study(params, _data_digest(run)), _folds(run, params), training.Course(params))
    return {"points": tried, "best": max((t["auc"] for t in tried if t["auc"] is not None), default=None)}


def sweep(run: Path, params: Params) -> None:
    """Finish the sweep, whoever began it, write down every point and draw them."""
    swept = training.finish(training.open_study(params, _data_digest(run)), _folds(run, params), params)
    write_json(run / "sweep.json", swept)
    training.draw(swept["trials"], params, run / "sweep")


def train(run: Path, params: Params) -> None:
    """Fit the best point, calibrate, choose the threshold; freeze profile and golden rows; learn the scorecard."""
    whole, best = load_book(params.book), read_json(run / "sweep.json")["best"]
    selection = read_json(run / "selection.json")
    book = training.selected(whole, selection)
    split, declined = open_rows(run / "split.parquet"), read_rows(run / "declined.parquet")
    applications, histories = open_rows(run / "snapshot.parquet"), _histories(run, book)
    if declined.num_rows:
        declined = _made(whole, training.beside_training(book, declined, applications, split), histories)
    table = open_rows(run / "features.parquet")
    found = training.fit_inferred(book, table, split["split"], declined, params, best["params"])
    parts, folder, encoder = found.parts, run / "model", found.parts.encoder
    own = table.filter(pc.equal(split["split"], "calibration"))
    calibration = Calibration.learn(params.train.calibration, own["label"].to_numpy() == 1,
                                    np.concatenate([found.predict(batch) for batch in encoder.batches(own)]))
    point = training.operating_point(parts.validation.label, calibration.apply(parts.validated(found.predict)),
                                     params.train)
    training.write_fit(folder, found.fitted, {
        "book": book.name, "as_of": params.as_of.isoformat(), "seed": params.seed,
        "snapshot": read_json(run / "snapshot.json")["digest"], "horizon_months": params.snapshot.horizon_months,
        "estimator": params.train.estimator, "features": encoder.to_json(), "calibration": calibration.to_json(),
        "threshold": point["threshold"], "operating": point, "params": best["params"],
        "rounds": found.rounds, "validation_auc": found.auc,
        # What was not asked for is not told, so that a model of before it could be is the same bytes.
        **({"default_weight": found.default_weight} if found.default_weight != 1 else {}),
        **({"selection": selection} if selection else {})})
    seen = pc.is_in(split["split"], pa.array(["train", "validation", "calibration"])).to_numpy()
    scores = np.where(seen, np.nan, Model.load(folder).predict_features(table.select(encoder.names)))
    training.write_references(folder, book, applications, table, scores, histories, params.seed)
    if params.train.estimator != BASELINE:
        training.learn_baseline(encoder, table.filter(pc.equal(split["split"], "train"))).save(folder)


def evaluate(run: Path, params: Params) -> None:
    """Evidence, metrics and plots."""
    model = Model.load(run / "model")
    rows = training.evidence(load_book(params.book), run / "model", open_rows(run / "features.parquet"),
                             open_rows(run / "split.parquet"), *_compared(run, params))
    write_rows(run / "evidence.parquet", rows)
    write_json(run / "metrics.json", training.metrics(rows, model.threshold, params))
    for name, columns in training.plots(load_book(params.book), rows, model, params).items():
        write_csv(run / "plots" / f"{name}.csv", columns)


def gate(run: Path, params: Params) -> None:
    """Judge the challenger. A refusal is a result, not a failure: ``register`` acts on it."""
    gates.write_report(gates.run_gates(run, params, *_compared(run, params)), run)


def refit(run: Path, params: Params) -> None:
    """Fit what was judged again on all matured loans, where that is proven better; ``refit.json`` says why or why not.

    What the gates say is not asked here: ``register`` takes nothing that they refused.
    """
    shutil.rmtree(run / "refit", ignore_errors=True)
    _refit(run, params, run / "refit")


def _refit(run: Path, params: Params, home: Path) -> None:
    home.mkdir()
    verdicts: tuple[gates.Verdict, ...] = ()
    if params.train.refit == "proven":
        matured, histories = matured_loans(run, params)
        younger = training.fit_younger(matured, params)
        loans, rows = matured.features.filter(pa.array(matured.tests))["loan_id"], gates.judged_rows(run, params)
        verdicts = gates.judge_younger(run, params, rows, pa.table({"loan_id": loans, "score": younger}))
        if gates.all_pass(verdicts):
            found = training.refit_all(matured, younger, params)
            unseen = pa.table({"loan_id": loans, "score": found.scores[matured.tests]})
            verdicts += gates.judge_refit(run, params, rows, unseen, found.point["threshold"])
            if gates.all_pass(verdicts):
                _keep_refit(run, home / "model", matured, found, histories, params.seed)
    write_json(home / "refit.json", gates.refit_record(params.train.refit, verdicts))


def _keep_refit(run: Path, folder: Path, matured: training.Matured, found: training.Refit,
                histories: Histories, seed: int) -> None:
    """A model folder of a refit, what was judged beside it."""
    snapshot = read_json(run / "snapshot.json")
    training.write_fit(folder, found.fitted, {
        **read_json(run / "model" / "model.json"), "features": found.encoder.to_json(),
        "calibration": found.calibration.to_json(), "threshold": found.point["threshold"], "operating": found.point,
        "validation_auc": found.auc, "refit": {
            "gated": digest_of(run / "model"),
            **{name: snapshot[name] for name in ("rows", "defaults", "first_month", "last_month")}}})
    training.write_references(folder, matured.book, matured.applications, matured.features, found.scores, histories,
                              seed)
    shutil.copytree(run / "model", folder / GATED)


def register(run: Path, params: Params) -> None:
    """Record the run in MLflow; a model that passed becomes the challenger, and the Model Board shows its gates.

    The gates are asked again, for nobody but they can say what they say; and what they take as given is made again: the
    loans, by the lake, which of them judge, the metrics, and a refit, since nobody judged it but the code that made it.

    Raises:
        Refused: the model did not pass, the files of the gates are not what the gates say, or loans, split, metrics or
            refit are others than this run makes.
        BadInput: the lake no longer shows what the run pinned.
    """
    report = gates.run_gates(run, params, *_compared(run, params))
    gates.check_report(report, run)
    if report.passed:
        training.check_loans(load_book(params.book), params, read_json(run / "snapshot.json"),
                             read_json(run / "delta.json"), read_rows(run / "split.parquet"))
        training.check_metrics(read_json(run / "metrics.json"), read_rows(run / "evidence.parquet"),
                               Model.load(run / "model").threshold, params)
    if artefact_of(run) != run / "model":
        with tempfile.TemporaryDirectory(dir=run) as scratch:
            again = Path(scratch) / "refit"
            _refit(run, params, again)
            if digest_of(again) != digest_of(run / "refit"):
                raise Refused("The refit in this run is not what its loans and its judged model give",
                              value=digest_of(run / "refit")[:12],
                              remedy="Run the refit stage again, or find out who wrote the folder.")
    registry.register(run, params)
    registry.publish_gates(params.book)


STAGES: dict[str, Callable[[Path, Params], None]] = {
    "describe": describe, "fetch": fetch, "history": history, "rivals": rivals, "snapshot": snapshot,
    "features": features, "split": split, "sweep": sweep, "train": train, "evaluate": evaluate, "gate": gate,
    "refit": refit, "register": register,
}


def answer(stage: str, run: Path) -> Answer:
    """What a stage has to tell, read from what it wrote."""
    match stage:
        case "describe":
            return dict(read_json(run / "book.json"))
        case "fetch":
            return {"files": read_json(run / "source.json")}
        case "history":
            return {"lake": read_json(run / "lake.json")}
        case "rivals":
            return dict(read_json(run / "champion.json"))
        case "snapshot":
            return dict(read_json(run / "snapshot.json"))
        case "features":
            schema = pq.read_schema(run / "features.parquet")
            return {"rows": pq.read_metadata(run / "features.parquet").num_rows, "columns": schema.names}
        case "split":
            rows = open_rows(run / "split.parquet")
            parts = {part["values"]: part["counts"] for part in rows["split"].value_counts().to_pylist()}
            left_out = [of["name"] for of in read_json(run / "selection.json").get("features", []) if not of["kept"]]
            return {**parts, "folds": len(training.folds(rows)), "left_out": left_out}
        case "sweep":
            result = read_json(run / "sweep.json")
            return {"trials": len(result["trials"]), "best": result["best"]}
        case "train":
            about = read_json(run / "model" / "model.json")
            return {"digest": digest_of(run / "model"), "rounds": about["rounds"],
                    "validation_auc": about["validation_auc"], **about["operating"]}
        case "evaluate":
            return dict(read_json(run / "metrics.json"))
        case "gate":
            report = read_json(run / "gates.json")
            return {"passed": report["passed"], "gates": report["verdicts"],
                    "table": (run / "gates.md").read_text(encoding="utf-8")}
        case "refit":
            record = dict(read_json(run / "refit" / "refit.json"))
            return {**record, "digest": digest_of(artefact_of(run))}
        case "register":
            return dict(read_json(run / "registered.json"))
    raise BadInput("Unknown stage", value=stage, remedy=f"Use one of: {', '.join(STAGES)}.")


def verdict(run: Path, name: str) -> Answer:
    """One gate's verdict. Raises ``Refused`` with the gate's own sentence when it refused."""
    for record in read_json(run / "gates.json")["verdicts"]:
        if record["gate"] == name:
            if record["verdict"] == "refuse":
                sentence = record["sentence"].removeprefix("Refused: ").rstrip(".")
                raise Refused(f"The gate {name} refuses: {sentence}",
                              remedy="Read the whole report: in Airflow by the button Gate report under Details, at a "
                                     "terminal by `tollgate run report RUN --out FILE`.")
            return dict(record)
    raise BadInput("There is no such gate in the report", value=name, remedy=f"Use one of: {', '.join(gates.GATES)}.")


def _histories(run: Path, book: Book) -> dict[str, pa.Table]:
    return {table.name: read_rows(run / "histories" / f"{table.name}.parquet") for table in book.histories}


def _featured(book: Book, rows: pa.Table, histories: Histories) -> pa.Table:
    """A snapshot's rows as ``features.parquet`` has them."""
    made = make_features(book, rows, histories)
    check_sizes(rows["loan_id"], made)
    table = rows.select(["loan_id", "applied_on", "label"])
    for name in made.column_names:
        table = table.append_column(name, made[name])
    for name in (*book.protected(), labels.PROBABILITY):
        if name in rows.column_names and name not in table.column_names:
            table = table.append_column(name, rows[name])
    return table


def _made(book: Book, declined: pa.Table, histories: Histories) -> pa.Table:
    """The features of declined applications, with the day of each."""
    made = make_features(book, declined, histories)
    check_sizes(declined["loan_id"], made)
    return made.append_column("applied_on", declined["applied_on"])


def matured_loans(run: Path, params: Params) -> tuple[training.Matured, Histories]:
    """What a refit is made of."""
    whole, about = load_book(params.book), read_json(run / "model" / "model.json")
    book, declined = training.selected(whole, about.get("selection", {})), read_rows(run / "declined.parquet")
    histories = _histories(run, book)
    matured = training.Matured(
        book, open_rows(run / "snapshot.parquet"), open_rows(run / "features.parquet"),
        open_rows(run / "split.parquet")["split"].to_numpy(), declined,
        _made(whole, declined, histories) if declined.num_rows else declined, about["params"], about["rounds"])
    return matured, histories


def _compared(run: Path, params: Params) -> tuple[Path | None, tuple[Path, ...]]:
    """The model folders that a challenger is compared with: the champion's and those of former champions."""
    pinned = read_json(run / "champion.json")
    if absent := [name for name in ("version", "unproven", "former") if name not in pinned]:
        raise BadInput(f"champion.json does not tell {', '.join(absent)}", value=run / "champion.json",
                       remedy="Open the run again, by `dvc repro`, in Airflow by a new run.")
    comparable = pinned["version"] is not None and pinned["unproven"] is None
    champion = registry.fetch_to_compare(params.book, pinned["version"]) if comparable else None
    return champion, tuple(registry.fetch_to_compare(params.book, former["version"]) for former in pinned["former"])


def _data_digest(run: Path) -> str:
    """What a sweep's scores depend on, beside the parameters."""
    return hashlib.sha256("".join(lake.digest(open_rows(run / name).pieces())
                                  for name in ("features.parquet", "split.parquet")).encode()
                          + (run / "selection.json").read_bytes()).hexdigest()


def _folds(run: Path, params: Params) -> tuple[training.Parts, ...]:
    book = training.selected(load_book(params.book), read_json(run / "selection.json"))
    return training.prepare_folds(book, open_rows(run / "features.parquet"), open_rows(run / "split.parquet"), params)
