"""Pictures of a sweep, by Optuna: which corner of the space scores well, and which parameter decides."""

from __future__ import annotations

import warnings
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from tollgate.training.sweep import told

if TYPE_CHECKING:
    import optuna

PARALLEL, IMPORTANCE = "parallel.png", "importance.png"


def draw(study: optuna.Study, folder: Path) -> None:
    """Write ``parallel.png`` and ``importance.png`` of the first rung, on which every point had the same budget.

    Importance is PED-ANOVA's (Watanabe, Bansal and Hutter, 2023). With one scored point there is nothing to compare,
    and nothing is drawn.
    """
    import matplotlib
    import optuna

    folder.mkdir(parents=True, exist_ok=True)
    ranked = optuna.create_study(direction="maximize")
    answers = told(study)
    first = min(budget for _, budget in answers)
    for (_, budget), trial in sorted(answers.items(), key=itemgetter(0)):
        if budget == first and trial.value is not None:
            ranked.add_trial(optuna.trial.create_trial(params=trial.params, distributions=trial.distributions,
                                                       value=trial.value))
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
