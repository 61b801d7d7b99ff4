"""Importing a library of trees without scikit-learn, which most of its loading time goes to."""

from __future__ import annotations

import sys
from importlib import import_module

OPTIONAL = "sklearn"


def import_without_sklearn(name: str) -> None:
    """Import a library that offers estimators for scikit-learn where that is installed, as if it were not.

    Nobody here uses these; half of the processor's time of a task that scores a small shard would go to their base
    classes. What is imported already stays as it is, and scikit-learn can be imported afterwards. Not beside threads
    that import it at the same moment.
    """
    if {name, OPTIONAL} & sys.modules.keys():
        return
    sys.modules[OPTIONAL] = None  # type: ignore[assignment]  # for Python this is a module that is not installed
    try:
        import_module(name)
    finally:
        del sys.modules[OPTIONAL]
