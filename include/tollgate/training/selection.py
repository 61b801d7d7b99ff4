"""Which features a model takes: all of them, or those that most halves of the training rows choose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.estimators import Inputs, Rows
from tollgate.features import TableFile
from tollgate.training.fit import fit_length, learn
from tollgate.training.space import check_space, middle

PAIRS = 10      # of complementary halves, so that a share is a whole number of twentieths
ROUNDS = 50     # of a fit: enough for a weak feature to be split on, where its estimator goes by rounds


def select(book: Book, features: pa.Table | TableFile, who: pa.Array | None, params: Params) -> dict[str, Any]:
    """Choose by stability, as ``train.selection`` says.

    The rows are halved ``PAIRS`` times, and in each half the estimator is fitted to the features and to as many
    probes: the same columns with their rows in another order, which tell nothing (the shadow features of Kursa and
    Rudnicki, "Feature selection with the Boruta package", J. Stat. Software 36(11), 2010). A half chooses the features
    whose share of the fit is above that of every probe. What at least ``selection_share`` of the halves choose is kept
    (Meinshausen and Buehlmann, "Stability selection", JRSS B 72(4), 2010). Of the features that a half chooses with a
    chance of at most c, at most c / (2 ``selection_share`` - 1) times as many are kept as one half chooses, in
    expectation (Shah and Samworth, "Variable selection with error control", JRSS B 75(1), 2013, theorem 1).

    Args:
        features: raw features with ``label``, and ``applied_on`` where a half-life is asked for, of the training rows
            of the split alone. who: the applicant of each row, null where not known: nobody stands in both halves.

    Returns ``{}`` for ``none``, else ``{"method", "halves", "share_min", "features": [{"name", "share", "kept"}]}`` in
    the book's order, ``share`` being that of the halves that chose it.

    Raises:
        BadInput: no feature is kept, a half holds one class alone, or the space names what the estimator does not know.
    """
    if params.train.selection == "none":
        return {}
    check_space(params)
    _, inputs, rows = learn(book, features, params)
    rows = replace(rows, encoded=rows.matrix)  # of which every half takes its own
    group = _groups(who, len(rows.label))
    halves = [half for k in range(PAIRS) for half in _halved(group, np.random.default_rng([params.seed, k]))]
    chosen = np.mean([_choose(inputs, _taken(rows, half), params, np.random.default_rng([params.seed, PAIRS, k]))
                      for k, half in enumerate(halves)], axis=0)
    least = params.train.selection_share
    told = [{"name": name, "share": float(share), "kept": bool(share >= least)}
            for name, share in zip(inputs.names, chosen, strict=True)]
    if not any(of["kept"] for of in told):
        best = inputs.names[int(np.argmax(chosen))]
        raise BadInput(f"No feature is chosen in {least:.0%} of the halves of the training rows",
                       value=f"{best} in {chosen.max():.0%}, the others in no more",
                       remedy="Lower train.selection_share, give training more months, or set train.selection to none.")
    return {"method": params.train.selection, "halves": len(halves), "share_min": least, "features": told}


def selected(book: Book, selection: dict[str, Any]) -> Book:
    """The book with the features that ``select`` kept; as it is where nothing was selected."""
    return book.taking({of["name"] for of in selection["features"] if of["kept"]}) if selection else book


def _groups(who: pa.Array | None, rows: int) -> np.ndarray:
    """Whole numbers of shape (rows,), the same for the same person; somebody unknown is nobody else."""
    if who is None:
        return np.arange(rows)
    known = who.dictionary_encode().indices.fill_null(-1).to_numpy()
    return np.unique(np.where(known >= 0, known, known.max(initial=-1) + 1 + np.arange(rows)), return_inverse=True)[1]


def _halved(group: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which rows are in one half of the groups, and which in the other; bool of shape (rows,) each."""
    count = int(group.max()) + 1
    first = np.isin(group, rng.permutation(count)[:count // 2])
    return first, ~first


def _taken(rows: Rows, half: np.ndarray) -> Rows:
    label = rows.label[half]
    if len(np.unique(label)) < 2:
        raise BadInput("A half of the training rows must hold paid and defaulted loans to choose features by",
                       value=f"{len(label):,} loans, {int(label.sum()):,} defaulted",
                       remedy="Widen snapshot.window_months, or set train.selection to none.")
    return Rows(rows.matrix[half], label, rows.weight[half] if rows.weight is not None else None)


def _choose(inputs: Inputs, rows: Rows, params: Params, rng: np.random.Generator) -> np.ndarray:
    """Which inputs one half chooses, bool of shape (inputs,)."""
    # Put into another order together, the probes are to one another what the features are.
    probes = rows.matrix[rng.permutation(len(rows.matrix))]
    both = Inputs((*inputs.names, *(f"{name}.probe" for name in inputs.names)), inputs.codes * 2, inputs.directions * 2)
    rows = replace(rows, encoded=np.concatenate([rows.matrix, probes], axis=1))
    share, of_probes = np.split(fit_length(both, rows, params, middle(params), ROUNDS).gains(), 2)
    return np.asarray(share > of_probes.max())
