"""The DVC stages: each reads and writes files under ``run/``, and nothing else that it keeps.

``dvc repro`` on a laptop and ``train_weekly`` in Airflow run these same functions. A stage writes; ``answer`` reads
what it wrote, so that a stage that DVC found unchanged answers too.
"""

from __future__ import annotations

import csv
import hashlib
import json
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
from tollgate.features import BASELINE, Calibration, Model, TableFile, digest_of, make_features, write_golden

Answer = dict[str, Any]


def describe(run: Path, params: Params) -> None:
    """Write down the run's parameters, and the code of its book: what the other stages depend on."""
    run.mkdir(exist_ok=True)
    (run / "params.yaml").write_text(params.dumped(), encoding="utf-8")
    _write_json(run / "book.json", _book_of(params))


def open_run(run: Path, params: Params) -> None:
    """All that a run stands on, once and for ever: its parameters, its book, the lake, the champion."""
    describe(run, params)
    pin(run, params)


def read_described(run: Path) -> Params:
    """The parameters of a run. Raises ``BadInput`` when the book here is not the one that it was opened with."""
    if not (run / "params.yaml").exists():
        raise _missing(run / "params.yaml")
    params = read_params(run / "params.yaml")
    then, now = _read_json(run / "book.json")["files"], _book_of(params)["files"]
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
        _write_json(run / "source.json", {})
        return
    sender.fetch(folder, lambda done, total: None, params.seed, "stationary")
    _write_json(run / "source.json", {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
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
    _write_json(run / "delta.json", {t.name: lake.version(lake.published(book, t.name)) for t in book.tables})
    _write_json(run / "lake.json", training.pin_lake(book, params))


def rivals(run: Path, params: Params) -> None:
    """Fix whom the challenger is compared with: the champion, former champions, and what was compared with them."""
    _write_json(run / "champion.json", registry.rivals(params.book))


def snapshot(run: Path, params: Params) -> None:
    """The exact training rows."""
    taken = training.take_snapshot(load_book(params.book), params, _read_json(run / "lake.json"),
                                   _read_json(run / "delta.json"))
    _write_rows(run / "snapshot.parquet", taken.rows)
    _write_rows(run / "declined.parquet", taken.declined)
    _write_json(run / "histories" / "rows.json", {name: rows.num_rows for name, rows in taken.histories.items()})
    for name, rows in taken.histories.items():
        _write_rows(run / "histories" / f"{name}.parquet", rows)
    _write_rows(run / "feed.parquet", taken.feed)
    _write_json(run / "snapshot.json", taken.record)


def features(run: Path, params: Params) -> None:
    """The raw features of the snapshot, with label and protected attributes beside them."""
    book, rows = load_book(params.book), _read_rows(run / "snapshot.parquet")
    made = make_features(book, rows, _histories(run, book))
    table = rows.select(["loan_id", "applied_on", "label"])
    for name in made.column_names:
        table = table.append_column(name, made[name])
    for name in (*book.protected(), labels.PROBABILITY):
        if name in rows.column_names and name not in table.column_names:
            table = table.append_column(name, rows[name])
    _write_rows(run / "features.parquet", table)


def split(run: Path, params: Params) -> None:
    """Which rows train, choose and judge; and which features a model may take, chosen on the training rows."""
    book, rows = load_book(params.book), _read_rows(run / "snapshot.parquet")
    parts = training.assign(book, params, rows)
    trains = pc.equal(parts["split"], "train")
    who = rows.filter(trains)[APPLICANT].combine_chunks() if book.grouped else None
    _write_rows(run / "split.parquet", parts)
    _write_json(run / "selection.json",
                training.select(book, _read_rows(run / "features.parquet").filter(trains), who, params))


def sweep_work(run: Path, params: Params) -> Answer:
    """One worker's share of the sweep: it climbs with the others until every rung is whole."""
    tried = training.work(training.open_study(params, _data_digest(run)), _folds(run, params), params)
    return {"points": tried, "best": max((t["auc"] for t in tried if t["auc"] is not None), default=None)}


def sweep(run: Path, params: Params) -> None:
    """Finish the sweep, whoever began it, write down every point and draw them."""
    study = training.open_study(params, _data_digest(run))
    _write_json(run / "sweep.json", training.finish(study, _folds(run, params), params))
    training.draw(study, run / "sweep")


def train(run: Path, params: Params) -> None:
    """Fit the best point, calibrate, choose the threshold; freeze profile and golden rows; learn the scorecard."""
    whole, best = load_book(params.book), _read_json(run / "sweep.json")["best"]
    selection = _read_json(run / "selection.json")
    book = training.selected(whole, selection)
    split, declined = _open_rows(run / "split.parquet"), _read_rows(run / "declined.parquet")
    applications, histories = _open_rows(run / "snapshot.parquet"), _histories(run, book)
    if declined.num_rows:
        declined = training.beside_training(book, declined, applications, split)
        declined = make_features(whole, declined, histories).append_column("applied_on", declined["applied_on"])
    table = _open_rows(run / "features.parquet")
    found = training.fit_inferred(book, table, split["split"], declined, params, best["params"])
    validation, folder, encoder = found.parts.validation, run / "model", found.parts.encoder
    own = table.filter(pc.equal(split["split"], "calibration"))
    calibration = Calibration.learn(params.train.calibration, own["label"].to_numpy() == 1,
                                    found.predict(encoder.encode(own)))
    point = training.operating_point(validation.label, calibration.apply(found.predict(validation.matrix)),
                                     params.train)
    folder.mkdir(parents=True, exist_ok=True)
    found.fitted.save(folder)
    _write_json(folder / "model.json", {
        "book": book.name, "as_of": params.as_of.isoformat(), "seed": params.seed,
        "snapshot": _read_json(run / "snapshot.json")["digest"], "horizon_months": params.snapshot.horizon_months,
        "estimator": params.train.estimator, "features": encoder.to_json(), "calibration": calibration.to_json(),
        "threshold": point["threshold"], "operating": point, "params": best["params"],
        "rounds": found.rounds, "validation_auc": found.auc,
        # What was not asked for is not told, so that a model of before it could be is the same bytes.
        **({"default_weight": found.default_weight} if found.default_weight != 1 else {}),
        **({"selection": selection} if selection else {})})
    if params.train.estimator != BASELINE:
        training.learn_baseline(encoder, table.filter(pc.equal(split["split"], "train"))).save(folder)
    rows = table.select(encoder.names)
    fitted_on = pc.is_in(split["split"], pa.array(["train", "validation", "calibration"])).to_numpy()
    scores = np.where(fitted_on, np.nan, Model.load(folder).predict_features(rows))
    _write_json(folder / "profile.json", training.freeze(rows, scores, book))
    _write_rows(folder / "reference.parquet", training.reference_sample(rows, scores, params.seed))
    write_golden(folder, applications, table, histories, params.seed)


def evaluate(run: Path, params: Params) -> None:
    """Evidence, metrics and plots."""
    model = Model.load(run / "model")
    rows = training.evidence(load_book(params.book), run / "model", _read_rows(run / "features.parquet"),
                             _read_rows(run / "split.parquet"), *_compared(run, params))
    _write_rows(run / "evidence.parquet", rows)
    _write_json(run / "metrics.json", training.metrics(rows, model.threshold, params))
    for name, columns in training.plots(load_book(params.book), rows, model, params).items():
        _write_csv(run / "plots" / f"{name}.csv", columns)


def gate(run: Path, params: Params) -> None:
    """Judge the challenger. A refusal is a result, not a failure: ``register`` acts on it."""
    gates.write_report(gates.run_gates(run, params, *_compared(run, params)), run)


def register(run: Path, params: Params) -> None:
    """Record the run in MLflow; a model that passed becomes the challenger.

    The gates are asked again, for nobody but they can say what they say.

    Raises:
        Refused: the model did not pass, or the files of the gates are not what the gates say.
    """
    gates.check_report(gates.run_gates(run, params, *_compared(run, params)), run)
    registry.register(run, params)


STAGES: dict[str, Callable[[Path, Params], None]] = {
    "describe": describe, "fetch": fetch, "history": history, "rivals": rivals, "snapshot": snapshot,
    "features": features, "split": split, "sweep": sweep, "train": train, "evaluate": evaluate, "gate": gate,
    "register": register,
}


def answer(stage: str, run: Path) -> Answer:
    """What a stage has to tell, read from what it wrote."""
    match stage:
        case "describe":
            return dict(_read_json(run / "book.json"))
        case "fetch":
            return {"files": _read_json(run / "source.json")}
        case "history":
            return {"lake": _read_json(run / "lake.json")}
        case "rivals":
            return dict(_read_json(run / "champion.json"))
        case "snapshot":
            return dict(_read_json(run / "snapshot.json"))
        case "features":
            schema = pq.read_schema(run / "features.parquet")
            return {"rows": pq.read_metadata(run / "features.parquet").num_rows, "columns": schema.names}
        case "split":
            rows = _read_rows(run / "split.parquet")
            parts = {part["values"]: part["counts"] for part in rows["split"].value_counts().to_pylist()}
            left_out = [of["name"] for of in _read_json(run / "selection.json").get("features", []) if not of["kept"]]
            return {**parts, "folds": len(training.folds(rows)), "left_out": left_out}
        case "sweep":
            result = _read_json(run / "sweep.json")
            return {"trials": len(result["trials"]), "best": result["best"]}
        case "train":
            about = _read_json(run / "model" / "model.json")
            return {"digest": digest_of(run / "model"), "rounds": about["rounds"],
                    "validation_auc": about["validation_auc"], **about["operating"]}
        case "evaluate":
            return dict(_read_json(run / "metrics.json"))
        case "gate":
            report = _read_json(run / "gates.json")
            return {"passed": report["passed"], "gates": report["verdicts"],
                    "table": (run / "gates.md").read_text(encoding="utf-8")}
        case "register":
            return dict(_read_json(run / "registered.json"))
    raise BadInput("Unknown stage", value=stage, remedy=f"Use one of: {', '.join(STAGES)}.")


def verdict(run: Path, name: str) -> Answer:
    """One gate's verdict. Raises ``Refused`` with the gate's own sentence when it refused."""
    for record in _read_json(run / "gates.json")["verdicts"]:
        if record["gate"] == name:
            if record["verdict"] == "refuse":
                sentence = record["sentence"].removeprefix("Refused: ").rstrip(".")
                raise Refused(f"The gate {name} refuses: {sentence}",
                              remedy="Read the whole report: in Airflow by the button Gate report under Details, at a "
                                     "terminal by `tollgate run report RUN --out FILE`.")
            return dict(record)
    raise BadInput("There is no such gate in the report", value=name, remedy=f"Use one of: {', '.join(gates.GATES)}.")


def _histories(run: Path, book: Book) -> dict[str, pa.Table]:
    return {table.name: _read_rows(run / "histories" / f"{table.name}.parquet") for table in book.histories}


def _compared(run: Path, params: Params) -> tuple[Path | None, tuple[Path, ...]]:
    """The model folders that a challenger is compared with: the champion's and those of former champions."""
    pinned = _read_json(run / "champion.json")
    comparable = pinned["version"] is not None and pinned["unproven"] is None
    champion = registry.fetch_to_score(params.book, pinned["version"]) if comparable else None
    return champion, tuple(registry.fetch_to_score(params.book, former["version"]) for former in pinned["former"])


def _data_digest(run: Path) -> str:
    """What a sweep's scores depend on, beside the parameters."""
    return hashlib.sha256("".join(lake.digest(_read_rows(run / name))
                                  for name in ("features.parquet", "split.parquet")).encode()
                          + (run / "selection.json").read_bytes()).hexdigest()


def _folds(run: Path, params: Params) -> tuple[training.Parts, ...]:
    book = training.selected(load_book(params.book), _read_json(run / "selection.json"))
    return training.prepare_folds(book, _open_rows(run / "features.parquet"), _open_rows(run / "split.parquet"), params)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _missing(path) from None


def _read_rows(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise _missing(path) from None


def _open_rows(path: Path) -> TableFile:
    """The rows of a file that may be larger than memory."""
    try:
        return TableFile.open(path)
    except FileNotFoundError:
        raise _missing(path) from None


def _missing(path: Path) -> BadInput:
    return BadInput("A stage's input is not there", value=path,
                    remedy="Run the stages before it: `dvc repro` runs what is needed.")


def _write_json(path: Path, record: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, sort_keys=True, indent=2) + "\n", encoding="utf-8")


def _write_rows(path: Path, rows: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)


def _write_csv(path: Path, columns: dict[str, list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
