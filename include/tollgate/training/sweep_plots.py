"""Pictures of a sweep, by Optuna: which corner of the space scores well, and which parameter decides."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from tollgate.config import Params
from tollgate.training.course import distributions

PARALLEL, IMPORTANCE = "parallel.png", "importance.png"


def draw(trials: list[dict[str, Any]], params: Params, folder: Path) -> None:
    """Write ``parallel.png`` and ``importance.png`` of the first rung, on which every point had the same budget.

    Importance is PED-ANOVA's (Watanabe, Bansal and Hutter, 2023). With one scored point there is nothing to compare,
    and nothing is drawn.

    Args:
        trials: those of ``sweep.json``.
    """
    import matplotlib
    import optuna

    folder.mkdir(parents=True, exist_ok=True)
    ranked = optuna.create_study(direction="maximize")
    for trial in trials:
        if trial["rungs"]:
            ranked.add_trial(optuna.trial.create_trial(
                params=trial["params"], distributions=distributions(params, trial["params"]),
                value=trial["rungs"][0]["auc"]))
    if len(ranked.trials) < 2:
        return
    matplotlib.use("agg")
    show, how = optuna.visualization.matplotlib, optuna.importance.PedAnovaImportanceEvaluator()
    with matplotlib.rc_context(), warnings.catch_warnings():  # Optuna changes the style for good
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        show.plot_parallel_coordinate(ranked, target_name="AUC")
        _save(folder / PARALLEL)
        show.plot_param_importances(ranked, evaluator=how, target_name="AUC")
        _save(folder / IMPORTANCE)


def _save(path: Path) -> None:
    """Write the figure that was drawn last, and let it go."""
    from matplotlib import pyplot

    pyplot.savefig(path, bbox_inches="tight")
    pyplot.close()
