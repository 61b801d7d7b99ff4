"""What a run computes by: params.yaml with a book's own values laid over it, checked whole, as frozen objects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, model_validator

from tollgate.config.finding import FoundBook, find_book, known_books
from tollgate.config.reading import read_params_file
from tollgate.config.rules import Rule, contradictions
from tollgate.config.settings import settings
from tollgate.errors import BadInput

Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Factor = Annotated[float, Field(gt=1)]


Section = TypeVar("Section", bound="_Section")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)  # strict: true is not 1, nor is "1"


class Ingest(_Section):
    bad_share_max: Share
    orphan_share_max: Share
    restated_share_max: Share
    rows_ratio_max: Factor
    null_rise_max: Share
    missing_shift_max: Share
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
    calibration_months: NonNegativeInt
    gap_months: NonNegativeInt
    folds: Annotated[int, Field(ge=1, le=5)]  # an undated book has five sixths to validate on in turn


class Sweep(_Section):
    trials: PositiveInt
    sampler: Literal["sobol", "tpe"]
    batch: PositiveInt
    workers: PositiveInt
    rounds_first: PositiveInt
    rounds_max: PositiveInt
    early_stopping: PositiveInt
    threads: PositiveInt
    lookback_months: list[PositiveInt] = []


class Range(_Section):
    """Ends of what a sweep draws from, both of them included; whole numbers where both are."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if not (self.low <= self.high and (self.low > 0 or not self.log)):
            raise ValueError("low must not be above high, and must be above 0 where log is true")
        return self


class Space(_Section):
    """What is drawn of each estimator's hyperparameters, by its library's names."""

    xgboost: dict[str, Range]
    lightgbm: dict[str, Range]
    scorecard: dict[str, Range]


class Train(_Section):
    estimator: Literal["xgboost", "lightgbm", "scorecard"]
    operating_rule: Literal["false_negative_target", "approval_rate", "cost_ratio"]
    false_negative_target: OpenShare
    approval_rate_target: OpenShare
    cost_of_default: Annotated[float, Field(gt=0)]
    reject_inference: Literal["booked", "parcelling", "fuzzy", "weighted"]
    calibration: Literal["none", "platt", "isotonic"]
    default_weight: Annotated[float, Field(gt=0, le=1000)]
    half_life_months: NonNegativeInt
    selection: Literal["none", "stability"]
    selection_share: Annotated[float, Field(gt=0.5, le=1)]  # at half and below, the bound on what is kept by luck ends
    refit: Literal["never", "proven"]


class Gates(_Section):
    auc_min: OpenShare
    ks_min: OpenShare
    false_negative_max: OpenShare
    approval_min: Share
    approval_max: Share
    cost_max: Positive
    cost_margin: OpenShare
    baseline_margin: OpenShare
    champion_margin: OpenShare
    unproven_champion: Literal["refuse", "accept"]
    parity_gap_max: OpenShare
    group_min: PositiveInt
    slice_gap_max: OpenShare
    calibration_gap_max: OpenShare
    calibration_slope_max: Factor
    defaults_ratio_max: Factor
    refit_agreement_min: OpenShare
    stale_months_max: PositiveInt
    feature_auc_max: OpenShare
    level_rate_max: OpenShare
    score_auc_max: OpenShare
    confidence: OpenShare
    bootstrap_draws: PositiveInt

    @model_validator(mode="after")
    def _some_rate_of_approval_passes(self) -> Gates:
        if self.approval_min > self.approval_max:
            raise ValueError(f"approval_min {self.approval_min} is above approval_max {self.approval_max}: no model "
                             "could pass")
        return self


class Scoring(_Section):
    window_months: PositiveInt
    portfolio_months: PositiveInt
    shards: Annotated[int, Field(gt=0, le=1024)]  # Airflow maps no longer list
    reasons: PositiveInt
    shadows: list[Annotated[str, Field(pattern=r"^[1-9]\d*$")]]


class Monitoring(_Section):
    confidence: OpenShare
    false_discovery_rate: OpenShare
    min_sample: PositiveInt
    window_days: PositiveInt
    windows: PositiveInt
    trips: PositiveInt
    cooldown_days: PositiveInt
    request_days: PositiveInt
    request_new_labels: PositiveInt | None
    request_age_days: PositiveInt | None
    guard: Literal["roll_back", "page", "never"]  # YAML reads off as false
    guard_days: PositiveInt
    guard_months: PositiveInt
    guard_decline_shift: OpenShare
    guard_defaults_ratio: Factor
    guard_auc_drop: OpenShare
    rules: Annotated[list[Rule], Field(min_length=1, max_length=30)]  # MLflow keeps 6,000 characters of a parameter

    @model_validator(mode="after")
    def _rules_agree(self) -> Monitoring:
        if found := list(contradictions(self.rules)):
            raise ValueError("; ".join(found))
        return self


class Schedule(_Section):
    """When and where the DAGs of one book run by themselves. Airflow's side reads it, and no run depends on it."""

    train_weekly: Annotated[str | None, Field(description="cron: when a challenger is trained")] = None
    score_nightly: Annotated[str | None, Field(description="cron: when new applications are scored")] = None
    score_portfolio: Annotated[str | None, Field(description="cron: when the open loans are scored")] = None
    monitor_operations: Annotated[str | None, Field(
        description="cron: when the feed is looked at, and what waits is told, also without a night")] = None
    late_hours: Annotated[float | None, Field(
        gt=0, le=24 * 365,
        description="a night that has not succeeded so long after it was queued is told as late")] = 6
    timezone: Annotated[str, Field(description="of the crons, and of the days that runs stand at")] = "UTC"
    queue: Annotated[str | None, Field(description="of Celery, for every task but those that decide")] = None
    pool: Annotated[str | None, Field(description="of Airflow, which bounds how many tasks run at once")] = None


class Retention(_Section):
    """What is kept for how long. ``tollgate tidy`` reads it, and no run depends on it."""

    night_days: Annotated[int, Field(ge=62)]  # monitoring reads the nights of two windows
    attempt_days: PositiveInt
    workspace_days: PositiveInt


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
    space: Space
    train: Train
    gates: Gates
    scoring: Scoring
    monitoring: Monitoring

    @model_validator(mode="after")
    def _calibrated_on_rows_of_its_own(self) -> Params:
        if (self.train.calibration == "none") != (self.split.calibration_months == 0):
            raise ValueError(f"train.calibration is {self.train.calibration} and split.calibration_months "
                             f"{self.split.calibration_months}: a calibration needs months of its own, and they it")
        return self

    def to_yaml(self) -> str:
        """As YAML, in the order of params.yaml, for ``read_params``."""
        import yaml

        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


SECTIONS = tuple(name for name in Params.model_fields if name not in ("book", "as_of", "seed"))


def _no_dates(raw: dict[Any, Any], path: Path, where: str = "") -> None:
    """Raise ``BadInput`` for a date without quotes, on which ``dvc repro``, which reads params.yaml first, ends."""
    for key, value in raw.items():
        if isinstance(value, dict):
            _no_dates(value, path, f"{where}{key}.")
        elif isinstance(value, date):
            raise BadInput(f"{path.name}: {where}{key}: a date stands in quotes here, for DVC reads this file too and "
                           "knows no dates", value=value, remedy=f'Write {key}: "{value}".')


def params_path() -> Path:
    """The params.yaml in force: the one of the workspace we stand in, else the project's."""
    here = Path.cwd() / "params.yaml"
    return here if here.exists() else settings().project / "params.yaml"


def load_retention() -> Retention:
    """The ``retention`` of params.yaml. Raises ``BadInput`` naming the key, its value and what is allowed."""
    path = params_path()
    return _checked(Retention, read_params_file(path).get("retention", {}), path, "retention.")


def scheduled_books() -> list[str]:
    """The books that Airflow has DAGs of, by the ``schedules`` of params.yaml; raises ``BadInput`` where it is none."""
    path = params_path()
    return sorted(_schedules(read_params_file(path), path), key=str)


def _schedules(raw: dict[str, Any], path: Path) -> dict[str, Any]:
    found = raw.get("schedules", {})
    if not isinstance(found, dict):
        raise BadInput(f"{path.name}: `schedules` must hold one entry a book", value=found,
                       remedy="Write `sba: {}` below it, for example.")
    return found


def load_params(path: Path | None = None, *, book: str | None = None, as_of: date | None = None,
                overrides: Mapping[str, dict[str, Any]] | None = None) -> Params:
    """Read, overlay and check params.yaml.

    Args:
        path: the file; by default the one of the current folder or of the project.
        book: the parameters of this book instead of the file's own ``book``.
        as_of: stand at this instant instead of the file's own ``as_of``.
        overrides: laid over all else, by section: ``{"sweep": {"trials": 4}}``.

    Raises:
        BadInput: naming the key, its value and what is allowed.
    """
    path = path or params_path()
    raw = dict(read_params_file(path))
    _no_dates(raw, path)
    schedules = _schedules(raw, path)
    raw.pop("schedules", None)
    if "retention" in raw:
        _checked(Retention, raw.pop("retention"), path, "retention.")
    blocks = raw.pop("books", {})
    if not isinstance(blocks, dict):
        raise BadInput(f"{path.name}: `books` must hold one block a book", value=blocks,
                       remedy=f"Each is called as its book: {', '.join(known_books())}.")
    if strangers := sorted(set(blocks) - set(known_books()), key=str):
        raise BadInput(f"{path.name}: books.{strangers[0]} is the block of no book", value=strangers[0],
                       remedy=f"The books are {', '.join(known_books())}; remove the block, or bring its book back.")
    if book is not None:
        raw["book"] = book
    if as_of is not None:
        raw["as_of"] = as_of
    found = find_book(raw.get("book"))
    if found.name in schedules:  # a wrong entry of another book is that book's alone
        _checked(Schedule, schedules[found.name], path, f"schedules.{found.name}.")
    where, own = _own_values(found, blocks, path)
    for section, values in own.items():
        if section not in SECTIONS:
            raise BadInput(f"{where}: there is no section {section}", value=section,
                           remedy=f"The sections are {', '.join(SECTIONS)}.")
        if not isinstance(values, dict):
            raise BadInput(f"{where}.{section} must be a mapping", value=values,
                           remedy="Leave an empty section out, or write it as `{}`.")
        if isinstance(base := raw.get(section), dict):
            raw[section] = {**base, **values}
    for section, values in (overrides or {}).items():
        raw[section] = {**raw[section], **values}
    return _checked(Params, raw, path)


def read_params(path: Path) -> Params:
    """The parameters of a run, as ``Params.dumped`` wrote them: nothing is laid over them any more.

    Raises:
        BadInput: the file is missing or is none of these.
    """
    return _checked(Params, read_params_file(path), path)


def _params_of(found: FoundBook) -> Path | None:
    """The file beside a book's module for its own values: ``mortgages.yaml`` beside ``mortgages.py``."""
    return found.path.with_suffix(".yaml") if found.path else None


def _own_values(found: FoundBook, blocks: dict[str, Any], path: Path) -> tuple[str, dict[str, Any]]:
    """A book's own values, and where they stand: in a block of params.yaml or in a file beside its module."""
    block, beside = blocks.get(found.name), _params_of(found)
    where = f"{path.name}: books.{found.name}"
    if beside is not None and beside.exists():
        if block is not None:
            raise BadInput(f"The values of the book {found.name} stand in {beside.name} and in {where}", value=beside,
                           remedy="Keep them in one of the two.")
        where, block = beside.name, read_params_file(beside)
    if block is not None and not isinstance(block, dict):
        raise BadInput(f"{where} must hold sections", value=block, remedy=f"They are {', '.join(SECTIONS)}.")
    return where, block or {}


def _checked(section: type[Section], raw: object, path: Path, where: str = "") -> Section:
    try:
        return section.model_validate(raw)
    except ValidationError as err:
        faults = err.errors()
        keys = [(where + ".".join(str(part) for part in fault["loc"])).rstrip(".") for fault in faults]
        said = "; ".join(f"{key}: {fault['msg']}" for key, fault in zip(keys, faults, strict=True))
        values = [fault.get("input") for fault in faults]
        raise BadInput(f"{path.name}: {said}", value=values[0] if len(values) == 1 else values,
                       remedy=f"Correct {'that key' if len(keys) == 1 else 'these keys'}; docs/params.md lists every "
                              "key and its range.") from None
