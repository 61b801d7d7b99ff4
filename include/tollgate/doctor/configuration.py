"""What is written down: the environment, params.yaml and the books."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from difflib import get_close_matches

from tollgate.books import load_book
from tollgate.clock import today
from tollgate.config import Settings, known_books, load_params, load_retention, scheduled_books
from tollgate.doctor.findings import Finding, error, fault, ok, warning
from tollgate.doctor.places import is_local, locations
from tollgate.errors import BadInput, TollgateError

PREFIX = "TOLLGATE_"
OTHERS = {"TOLLGATE_BIN", "TOLLGATE_AIRFLOW_PORT", "TOLLGATE_MLFLOW_PORT", "TOLLGATE_COMMIT", "TOLLGATE_END_WITH",
          "TOLLGATE_LOOK_SECONDS"}


def check_settings(here: Settings) -> Iterator[Finding]:
    """Names that nothing reads, locations that are none, and values that no process would accept."""
    found = [*_unread(), *_not_locations(here), *_of_no_use(here)]
    yield from found
    if not found:
        told = sorted(name for name in os.environ if name.startswith(PREFIX))
        yield ok(f"{len(told)} settings, all known" if told else "nothing is set: all lies under the data folder")


def _unread() -> Iterator[Finding]:
    known = {f"{PREFIX}{one.name.upper()}" for one in fields(Settings)} | OTHERS
    for name in sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known):
        close = get_close_matches(name, sorted(known), 1)
        yield warning(f"Nothing reads {name}", f"It may be {close[0]}." if close else
                      "docs/settings.md lists those that are read.")


def _not_locations(here: Settings) -> Iterator[Finding]:
    for name, place in locations(here):
        if "://" in place and not place.startswith("s3://"):
            yield error(f"{name} must be a folder or s3://… (got: {place})", "Write it so.")
        elif place.startswith("s3://") and not place.removeprefix("s3://").partition("/")[0]:
            yield error(f"{name} names no bucket (got: {place})", "Write s3://BUCKET/FOLDER.")
        elif is_local(place) and not place.startswith("/"):
            yield error(f"{name} is a relative path, which every process would look for elsewhere (got: {place})",
                        "Write it from / on.")


def _of_no_use(here: Settings) -> Iterator[Finding]:
    for name in ("params.yaml", "dvc.yaml"):
        if not (here.project / name).is_file():
            yield error(f"There is no {name} in the project (got: {here.project})",
                        "Set TOLLGATE_PROJECT to the folder of the checkout.")
    if here.four_eyes not in ("on", "off"):
        yield error(f"TOLLGATE_FOUR_EYES is on or off (got: {here.four_eyes})",
                    "Correct it, or unset it, which is off.")
    told = os.environ.get("TOLLGATE_LOOK_SECONDS")
    if told and not (told.replace(".", "", 1).isdecimal() and float(told) > 0):
        yield error(f"TOLLGATE_LOOK_SECONDS is a number of seconds above 0 (got: {told})",
                    "Correct it, or unset it, which is 10.")
    if here.mlflow_ui and not here.mlflow_ui.startswith(("http://", "https://")):
        yield error(f"TOLLGATE_MLFLOW_UI is an address for a browser (got: {here.mlflow_ui})", "Write http(s)://…, or "
                    "unset it: then the Board links to MLflow only where TOLLGATE_MLFLOW is a server.")
    try:
        today("UTC")
    except BadInput as err:
        yield fault(err)
    else:
        if here.today:
            yield warning(f"A replay's clock is set, and no DAG runs by cron (got: TOLLGATE_TODAY={here.today})",
                          "Unset TOLLGATE_TODAY where the loans are of today.")


def check_params(_: Settings) -> Iterator[Finding]:
    """Whether params.yaml is whole and right, as ``dvc repro`` and the DAGs will read it."""
    params = load_params()
    load_retention()
    yield ok(f"params.yaml is right; its book is {params.book}, its as-of {params.as_of}")


def check_books(_: Settings) -> Iterator[Finding]:
    """Whether every book loads, with the parameters that are its own, and every one that Airflow has DAGs of is one."""
    names, bad = known_books(), 0
    try:
        load_params()
        with_params = True
    except BadInput:
        with_params = False  # the check of params.yaml says so
    for name in names:
        try:
            load_book(name)
            if with_params:
                load_params(book=name)
        except TollgateError as err:
            bad += 1
            yield fault(err)
    for name in sorted(set(scheduled_books() if with_params else ()) - set(names)):
        bad += 1
        yield error(f"params.yaml: schedules.{name}: there is no such book (got: {name})",
                    "Remove the entry, or bring its book back.")
    if not bad:
        yield ok(f"{len(names)} books load: {', '.join(names)}")

