"""Training: snapshot, split, sweep, fit, evaluate, profile, refit."""

from tollgate.training.again import check_loans, check_metrics
from tollgate.training.artefact import write_fit, write_references
from tollgate.training.baseline import learn_baseline
from tollgate.training.course import Course
from tollgate.training.evaluate import evidence, metrics, plots
from tollgate.training.fit import Fit, Parts, fit, fit_inferred, prepare, prepare_folds
from tollgate.training.operating import decision_costs, operating_point
from tollgate.training.profile import freeze, reference_sample
from tollgate.training.refit import Matured, Refit, fit_younger, refit_all
from tollgate.training.selection import select, selected
from tollgate.training.slices import EVENTS_MIN, Slice, cut_slices, parts, rank_slices, slice_columns
from tollgate.training.snapshot import Snapshot, pin_lake, take_snapshot
from tollgate.training.split import assign, beside_training, folds
from tollgate.training.sweep import finish, open_study, work
from tollgate.training.sweep_plots import draw

__all__ = [
    "EVENTS_MIN", "Course", "Fit", "Matured", "Parts", "Refit", "Slice", "Snapshot", "assign", "beside_training",
    "check_loans", "check_metrics", "cut_slices", "decision_costs", "draw", "evidence", "finish", "fit", "fit_inferred",
    "fit_younger", "folds", "freeze", "learn_baseline", "metrics", "open_study", "operating_point", "parts", "pin_lake",
    "plots", "prepare", "prepare_folds", "rank_slices", "reference_sample", "refit_all", "select", "selected",
    "slice_columns", "take_snapshot", "work", "write_fit", "write_references",
]
