"""A task that scores does not wait for scikit-learn, and one that needs it still finds it."""

from __future__ import annotations

import subprocess
import sys

import pytest


def told_by(program: str) -> str:
    """What a new interpreter prints."""
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_a_library_of_trees_is_imported_without_scikit_learn_which_can_be_imported_afterwards(library: str) -> None:
    assert told_by("import sys\n"
                   "from tollgate.estimators.importing import import_without_sklearn\n"
                   f"import_without_sklearn('{library}')\n"
                   f"print('{library}' in sys.modules, 'sklearn' in sys.modules)\n"
                   "import sklearn.metrics\n"
                   "print(sklearn.metrics.roc_auc_score([0, 1], [.1, .2]))").split() == ["True", "False", "1.0"]


def test_what_is_imported_already_stays_as_it_is() -> None:
    assert told_by("import sklearn, xgboost\n"
                   "from tollgate.estimators.importing import import_without_sklearn\n"
                   "import_without_sklearn('xgboost')\n"
                   "import sys; print(sys.modules['sklearn'] is sklearn, xgboost.compat.SKLEARN_INSTALLED)"
                   ) == "True True"
