"""The pages people read: Tollgate's own verdict, Evidently's drift report beside it, and what the Model Board shows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import date, datetime, time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tollgate import lake
from tollgate.books import Book
from tollgate.config import Params, settings
from tollgate.errors import BadInput
from tollgate.monitoring.board import publish_board
from tollgate.monitoring.kinds import Conclusion, conclusions
from tollgate.monitoring.measures import CHI_SQUARE, FEATURE, JS, KS, MISSING, PREDICTION, PSI, UNSEEN, watched
from tollgate.monitoring.performance import AUC, DEFAULT_RATE, MISS_RATE, PERFORMANCE
from tollgate.monitoring.reference import read_reference
from tollgate.monitoring.window import Window, load_window

if TYPE_CHECKING:
    import pandas as pd

INDEX, DISTRIBUTIONS = "index.html", "drift.html"
ROWS_SHOWN = 5_000
PROMISES = ((AUC, "an AUC of", ".3f"), (DEFAULT_RATE, "a default rate of", ".1%"),
            (MISS_RATE, "a share of the defaults that is approved of", ".1%"))
RANDOM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<=metric_)[0-9a-f]{32}")

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }}
table {{ border-collapse: collapse; width: 100%; margin: 1rem 0; }}
th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #d8dee4; }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.major {{ background: #ffd9d6; }} .moderate {{ background: #ffe7c7; }} .minor {{ background: #fff8c5; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p><strong>{sentence}</strong></p>
<p>Features marked * decide the verdict. A PSI counts as drift only above its null, the value that luck alone stays
below, and beyond what one of so many features shows by chance.
{beside}</p>
{promised}
<h2>What moved</h2>
<ul>
{kinds}
</ul>
<h2>Features</h2>
<table>
<tr><th>feature</th><th class="n">PSI</th><th class="n">null</th><th class="n">JS</th><th class="n">KS</th>
<th class="n">p</th>
<th class="n">missing</th><th class="n">before</th><th class="n">unseen</th><th>level</th></tr>
{features}
</table>
<h2>Alerts</h2>
{alerts}
</body>
</html>
"""


def report_step(book: Book, as_of: date, params: Params) -> dict[str, Any]:
    """Write ``reports/BOOK/AS-OF/index.html`` to the store, and ``drift.html`` beside it when something was alerted.

    What the Model Board shows of the nights is drawn anew. Answers with the addresses of both.

    Raises:
        BadInput: there is no verdict for that as-of.
    """
    from tollgate.registry import fetch_model

    window = load_window(book, as_of, params.monitoring)
    written = write_report(book, as_of, params, window, fetch_model(book.name, window.version))
    return {**written, "board": f"{settings().store.rstrip('/')}/{publish_board(book, params)}"}


def night_page(book: str, as_of: date, *, distributions: bool = False) -> str:
    """What ``report_step`` wrote of a night: its page, or the distributions beside it.

    Raises:
        BadInput: nothing was reported as of that day; or nothing was alerted, so that no distributions were drawn.
    """
    store, folder = lake.Store(settings().store), _folder(book, as_of)
    try:
        return store.read(f"{folder}/{DISTRIBUTIONS if distributions else INDEX}").decode()
    except BadInput as absent:
        raise BadInput(f"{book} has no such page as of {as_of}", value=absent.value,
                       remedy=f"Where there is a verdict of that day: tollgate monitor report {book} --as-of {as_of}. "
                              "Distributions are drawn where something began or worsened.") from None


def _folder(book: str, as_of: date) -> str:
    return f"reports/{book}/{as_of.isoformat()}"


def write_report(book: Book, as_of: date, params: Params, window: Window, model: Path) -> dict[str, Any]:
    """``report_step`` once the window and the model folder are at hand."""
    day = [("day", "=", as_of.isoformat())]
    verdict = lake.read(lake.verdicts(book.name), filters=day).to_pylist()
    if not verdict:
        raise BadInput(f"{book.name} has no verdict as of {as_of}", value=as_of,
                       remedy=f"Conclude first: tollgate monitor verdict {book.name} --as-of {as_of}.")
    alerts, measures = (lake.read(table, filters=day).to_pylist()
                        for table in (lake.alerts(book.name), lake.measures(book.name)))
    kinds = conclusions(book, params.monitoring, measures, lake.read(lake.feeds(book.name), filters=day).to_pylist())
    page = index_page(book, verdict[0], measures, alerts, kinds)
    store, folder = lake.Store(settings().store), _folder(book.name, as_of)
    if alerts:
        current = window.features.append_column("score", window.scores["score"])
        beside = evidently_page(book, read_reference(model), current, as_of, params.seed)
        store.write(f"{folder}/{DISTRIBUTIONS}", beside.encode())
    store.write(f"{folder}/{INDEX}", page.encode())
    return {"book": book.name, "as_of": as_of.isoformat(), "uri": f"{store.root.rstrip('/')}/{folder}/{INDEX}"}


def index_page(book: Book, verdict: dict[str, Any], measures: Iterable[dict[str, Any]],
               alerts: list[dict[str, Any]], kinds: Iterable[Conclusion]) -> str:
    """Tollgate's own page of one as-of, from that day's lake rows."""
    rows, subjects = list(measures), dict[str, dict[str, dict[str, Any]]]()
    for row in (row for row in rows if row["kind"] in (FEATURE, PREDICTION)):
        subjects.setdefault(row["subject"], {})[row["metric"]] = row
    lines = "\n".join(_line(subject, of, subject in watched(book)) for subject, of in sorted(
        subjects.items(), key=lambda pair: (-(pair[1][PSI]["value"] or 0.0), pair[0])))
    told = "\n".join(f"<li><strong>{alert['severity']}</strong>: {escape(alert['message'])}</li>" for alert in alerts)
    return PAGE.format(title=escape(f"{book.title}: drift as of {verdict['as_of']}, model v{verdict['model_version']}"),
                       sentence=escape(verdict["sentence"]), features=lines, promised=_promised(rows),
                       kinds="\n".join(f"<li><strong>{one.kind}: {one.state}</strong>. {escape(one.sentence)}</li>"
                                       for one in kinds),
                       beside=f'<a href="{DISTRIBUTIONS}">The distributions, by Evidently</a>.' if alerts else "",
                       alerts=f"<ul>\n{told}\n</ul>" if told else "<p>None: nothing began or worsened.</p>")


def evidently_page(book: Book, reference: pa.Table, current: pa.Table, as_of: date, seed: int) -> str:
    """The distributions then and now by Evidently, as one self-contained page; the same input gives the same bytes.

    It tests nothing: by limits of its own it would tell another verdict than the one on the page that links to it.
    Columns that are on one side alone, or wholly missing on either, are left out: Evidently cannot draw them.
    """
    os.environ["DO_NOT_TRACK"] = "1"  # before the import, which reads it
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import ValueStats

    names = [n for n in reference.column_names if n in current.column_names
             and len(current[n].drop_null()) and len(reference[n].drop_null())]
    categories = {f.name for f in book.made if f.kind == "category"}
    definition = DataDefinition(numerical_columns=[n for n in names if n not in categories],
                                categorical_columns=[n for n in names if n in categories])
    now, before = (Dataset.from_pandas(_sample(rows.select(names), seed), definition)
                   for rows in (current, reference))
    with np.errstate(divide="ignore", invalid="ignore"):  # correlations with a constant column
        shown = Report([ValueStats(column=name) for name in names])
        made = shown.run(now, before, timestamp=datetime.combine(as_of, time()))
        page = made.get_html_str(as_iframe=False)
    seen: dict[str, str] = {}
    return RANDOM_ID.sub(lambda found: seen.setdefault(found[0], f"{len(seen):032x}"), page)


def _sample(rows: pa.Table, seed: int) -> pd.DataFrame:
    if rows.num_rows > ROWS_SHOWN:
        drawn = np.random.default_rng(seed).choice(rows.num_rows, ROWS_SHOWN, replace=False)
        rows = rows.take(np.sort(drawn))
    return rows.to_pandas()


def _promised(measures: list[dict[str, Any]]) -> str:
    """What is known of the performance before any label is, and what cannot be."""
    told = {row["metric"]: row for row in measures if row["kind"] == PERFORMANCE and row["segment"] is None
            and row["reference"] is not None}
    words = ", ".join(f"{what} {format(told[metric]['reference'], how)} (give or take "
                      f"{format(told[metric]['null_value'], how)})" for metric, what, how in PROMISES if metric in told)
    return words and (f"<p>No label of these loans is mature yet. The scores alone promise {words}. They promise it of "
                      "loans that default as those of the training did: a change in what the features mean is not seen "
                      "before the labels come.</p>")


def _line(subject: str, of: dict[str, dict[str, Any]], decides: bool) -> str:
    test = of.get(KS) or of.get(CHI_SQUARE) or {}
    shown = [of[PSI]["value"], of[PSI]["null_value"], of[JS]["value"], of.get(KS, {}).get("value"), test.get("p_value")]
    shares = [of.get(MISSING, {}).get("value"), of.get(MISSING, {}).get("reference"), of[UNSEEN]["value"]]
    cells = [(one, ".3f") for one in shown] + [(one, ".1%") for one in shares]
    numbers = "".join(f'<td class="n">{"" if one is None else format(one, how)}</td>' for one, how in cells)
    level = of[PSI]["level"]
    return f'<tr class="{level}"><td>{escape(subject)}{" *" * decides}</td>{numbers}<td>{level}</td></tr>'
