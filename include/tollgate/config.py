"""params.yaml and the environment, read once and checked whole, as frozen objects.

What a run computes is in ``Params`` (versioned with the code, a DVC dependency of the stages).
Where things live is in ``Settings`` (the environment; never changes a result).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from tollgate.errors import BadInput

PROJECT = Path(__file__).resolve().parents[2]
EMBEDDED = "embedded"  # instead of a database's URL: the PostgreSQL under the data folder

Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Factor = Annotated[float, Field(gt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)  # strict: true is not 1, nor is "1"


class Ingest(_Section):
    bad_share_max: Share
    orphan_share_max: Share
    restated_share_max: Share
    rows_ratio_max: Factor
    null_rise_max: Share
    history_months: PositiveInt
    rows_ratio_min: Share
    stale_days_max: PositiveInt
    median_shift_max: Positive
    outlier_rise_max: Share
    psi_max: Positive
    unseen_rise_max: Share
    identical_share_max: Share
    label_ratio_max: Factor
    segment_rise_max: Share


class Labels(_Section):
    quiet_days_max: PositiveInt
    thinned_ratio_min: OpenShare
    reference_months: Annotated[int, Field(ge=6)]
    expected_min: PositiveInt
    confidence: OpenShare
    late_share_max: Share
    orphan_share_max: Share
    early_share_max: Share


class Snapshot(_Section):
    horizon_months: PositiveInt
    window_months: PositiveInt
    min_rows: PositiveInt
    min_defaults: PositiveInt


class Split(_Section):
    test_months: PositiveInt
    validation_months: PositiveInt
    gap_months: NonNegativeInt
    folds: Annotated[int, Field(ge=1, le=5)]  # an undated book has five sixths to validate on in turn


class Sweep(_Section):
    trials: PositiveInt
    workers: PositiveInt
    rounds_first: PositiveInt
    rounds_max: PositiveInt
    early_stopping: PositiveInt
    threads: PositiveInt


class Train(_Section):
    false_negative_target: OpenShare
    cost_of_default: Annotated[float, Field(gt=0)]
    reject_inference: Literal["booked", "parcelling", "fuzzy", "weighted"]


class Gates(_Section):
    auc_min: OpenShare
    ks_min: OpenShare
    false_negative_max: OpenShare
    baseline_margin: OpenShare
    champion_margin: OpenShare
    parity_gap_max: OpenShare
    group_min: PositiveInt
    slice_gap_max: OpenShare
    calibration_gap_max: OpenShare
    stale_months_max: PositiveInt
    feature_auc_max: OpenShare
    level_rate_max: OpenShare
    score_auc_max: OpenShare
    confidence: OpenShare
    bootstrap_draws: PositiveInt


class Scoring(_Section):
    window_months: PositiveInt
    shards: PositiveInt
    reasons: PositiveInt


class Monitoring(_Section):
    psi_minor: OpenShare
    psi_moderate: OpenShare
    psi_major: OpenShare
    ks_p: OpenShare
    ks_effect: OpenShare
    ks_features: PositiveInt
    confidence: OpenShare
    min_sample: PositiveInt
    windows: PositiveInt
    trips: PositiveInt
    cooldown_days: PositiveInt
    auc_drop: OpenShare
    decline_rate_shift: OpenShare


class Params(_Section):
    """One book's parameters: the defaults of params.yaml with the book's own overrides laid over them."""

    model_config = ConfigDict(strict=False)  # a date may be written as text

    book: str
    as_of: date
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**31)]
    ingest: Ingest
    labels: Labels
    snapshot: Snapshot
    split: Split
    sweep: Sweep
    train: Train
    gates: Gates
    scoring: Scoring
    monitoring: Monitoring


SECTIONS = tuple(name for name in Params.model_fields if name not in ("book", "as_of", "seed"))


def known_books() -> list[str]:
    """Names of the books that have a module, sorted; found without importing any of them."""
    here = Path(__file__).parent / "books"
    return sorted(p.stem for p in here.glob("*.py") if p.stem != "base" and not p.stem.startswith("_"))


def read_params_file(path: Path) -> dict[str, Any]:
    """The raw mapping of a params.yaml. Raises ``BadInput`` when it is missing or not a YAML mapping."""
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput("There is no params.yaml", value=path, remedy="Run from the project's folder.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        raise BadInput("params.yaml is not valid YAML", value=str(err).replace("\n", " "),
                       remedy="Mend the line it names.") from None
    if not isinstance(raw, dict):
        raise BadInput("params.yaml must hold a mapping of settings", value=type(raw).__name__,
                       remedy="Compare it with the file that the project ships.")
    return raw


def params_path() -> Path:
    """The params.yaml in force: the one of the workspace we stand in, else the project's."""
    here = Path.cwd() / "params.yaml"
    return here if here.exists() else settings().project / "params.yaml"


def load_params(path: Path | None = None, *, book: str | None = None, as_of: date | None = None) -> Params:
    """Read, overlay and check params.yaml.

    Args:
        path: the file; by default the one of the current workspace or of the project.
        book: read this book's block instead of the file's own ``book``.
        as_of: stand at this instant instead of the file's own ``as_of``.

    Raises:
        BadInput: naming the key, its value and what is allowed.
    """
    path = path or params_path()
    raw = dict(read_params_file(path))
    blocks = raw.pop("books", None)
    if not isinstance(blocks, dict):
        raise BadInput(f"{path.name}: `books` must hold one block a book", value=blocks,
                       remedy=f"Add a block for each of {', '.join(known_books())}.")
    if book is not None:
        raw["book"] = book
    if as_of is not None:
        raw["as_of"] = as_of
    name = check_book(raw.get("book"))
    block = blocks.get(name)
    if not isinstance(block, dict) or set(block) != set(SECTIONS):
        raise BadInput(f"{path.name}: the block books.{name} must hold exactly the sections {', '.join(SECTIONS)}",
                       value=sorted(block) if isinstance(block, dict) else block,
                       remedy="Write an empty section as `{}`.")
    for section in SECTIONS:
        base, own = raw.get(section), block[section]
        if isinstance(base, dict) and isinstance(own, dict):
            raw[section] = {**base, **own}
        elif not isinstance(own, dict):
            raise BadInput(f"{path.name}: books.{name}.{section} must be a mapping", value=own,
                           remedy="Write an empty section as `{}`.")
    try:
        return Params.model_validate(raw)
    except ValidationError as err:
        first = err.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{path.name}: {key}: {first['msg']}", value=first.get("input"),
                       remedy="Correct that key; docs/params.md lists every key and its range.") from None


def check_book(name: object) -> str:
    """``name`` if it is a known book. Raises ``BadInput`` otherwise."""
    if name not in known_books():
        raise BadInput("Unknown book", value=name, remedy=f"Use one of: {', '.join(known_books())}.")
    return str(name)


@dataclass(frozen=True)
class Settings:
    """Where everything lives. Every location is a URI or a local path; nothing is written outside them."""

    project: Path
    data: Path          # local scratch and the embedded defaults
    landing: str        # where lenders' files arrive
    lake: str           # Delta tables
    store: str          # run records, shards in flight, reports
    dvc_remote: str     # DVC's content-addressed remote
    mlflow: str         # tracking and registry: a server, a database, or EMBEDDED
    mlflow_artifacts: str
    optuna: str         # database of the sweeps' studies, or EMBEDDED


def settings() -> Settings:
    """Locations from ``TOLLGATE_*`` environment variables, falling back to what lies under ``data/``."""
    env = os.environ.get
    project = Path(env("TOLLGATE_PROJECT") or PROJECT).resolve()
    data = Path(env("TOLLGATE_DATA") or project / "data").resolve()
    return Settings(
        project=project,
        data=data,
        landing=env("TOLLGATE_LANDING") or str(data / "landing"),
        lake=env("TOLLGATE_LAKE") or str(data / "lake"),
        store=env("TOLLGATE_STORE") or str(data / "store"),
        dvc_remote=env("TOLLGATE_DVC_REMOTE") or str(data / "dvc-remote"),
        mlflow=env("TOLLGATE_MLFLOW") or EMBEDDED,
        mlflow_artifacts=env("TOLLGATE_MLFLOW_ARTIFACTS") or str(data / "mlflow-artifacts"),
        optuna=env("TOLLGATE_OPTUNA") or EMBEDDED,
    )
