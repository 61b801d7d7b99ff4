"""Training: snapshot, split, sweep, fit, evaluate, profile."""

from tollgate.training.evaluate import evidence, metrics, plots
from tollgate.training.fit import Parts, fit, operating_point, prepare
from tollgate.training.profile import freeze, reference_sample
from tollgate.training.scorecard import Scorecard
from tollgate.training.snapshot import add_months, labels, months_before, pin_lake, take_snapshot
from tollgate.training.split import assign, folds
from tollgate.training.sweep import finish, open_study, work

__all__ = [
    "Parts", "Scorecard", "add_months", "assign", "evidence", "finish", "fit", "folds", "freeze", "labels", "metrics",
    "months_before", "open_study", "operating_point", "pin_lake", "plots", "prepare", "reference_sample",
    "take_snapshot", "work",
]
