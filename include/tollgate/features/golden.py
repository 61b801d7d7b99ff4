"""Golden rows: raw inputs, features and scores that a model is approved with, and that today's code must give again.

The digest of an artefact binds its files, and the code that makes its features is none of them. What that code gave is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import APPLICANT, LOAN, Book, load_book
from tollgate.errors import Refused
from tollgate.features.aggregates import Histories
from tollgate.features.histories import KNOWN, histories_of
from tollgate.features.make import make_features
from tollgate.features.model import Model
from tollgate.features.table_file import TableFile

FOLDER, INPUTS, ANSWERS, SCORE = "golden", "applications.parquet", "answers.parquet", "score"
DRAWN = 500             # rows by lot, beside those that hold a feature's extremes, levels and gaps
REMEDY = ("Of a feature that was changed: bring its code back, put it among the book's `retired` features, and give "
          "the changed one a new name. Of scores alone: install the libraries of requirements/. Or train a model with "
          "today's code, and have it approved.")


def write_golden(folder: Path, applications: pa.Table | TableFile, features: pa.Table | TableFile, histories: Histories,
                 seed: int) -> None:
    """Keep golden rows of a model with it.

    Nobody can be told from them: what names a loan, a person or a line of a history is replaced by a number, which
    keeps only which of them are the same and in which order they sort. Columns that no feature is made of are left out.

    Args:
        folder: of the model. applications: as the lake holds them, ``known_on`` beside them where the book makes
            aggregates. features: what was made of them, row by row. histories: of these loans or of more.
    """
    import pyarrow.parquet as pq

    model = Model.load(folder)
    book = load_book(model.book).taking(model.features)
    chosen = applications.take(pa.array(_telling(features.select(model.features), seed)))
    inputs, past = _anonymous(book, chosen.select(_used(book, chosen.column_names)),
                              histories_of(book, chosen, histories))
    made = make_features(book, inputs, past).select(model.features)
    answers = made.append_column(SCORE, pa.array(model.predict_features(made)))
    home = folder / FOLDER
    home.mkdir(exist_ok=True)
    for name, rows in {INPUTS: inputs, ANSWERS: answers, **{_history(name): past[name] for name in past}}.items():
        pq.write_table(rows, home / name)


def golden_differences(folder: Path) -> list[str]:
    """What today's code makes of a model's golden rows otherwise, a sentence a feature; nothing where all is as it was.

    Raises:
        BadInput: the model or its book cannot be read.
        Refused: the model keeps no golden rows.
    """
    import pyarrow.parquet as pq

    model, home = Model.load(folder), folder / FOLDER
    book = load_book(model.book).taking(model.features)
    try:
        inputs, answers = pq.read_table(home / INPUTS), pq.read_table(home / ANSWERS)
        past = {table.name: pq.read_table(home / _history(table.name)) for table in book.histories
                if (home / _history(table.name)).exists()}
    except (OSError, pa.ArrowException) as err:
        raise Refused("The model keeps no golden rows that could be read, so that nothing shows that it still scores "
                      "as it was approved", value=str(err).splitlines()[0],
                      remedy="Train, approve and use a model that keeps them.") from err
    lacking = [f"{feature.name} is made of {', '.join(absent)} now, which it was not" for feature in book.features
               if (absent := _absent(book, feature.uses, inputs.column_names, past))]
    gone = [name for name in model.features if name not in {feature.name for feature in book.features}]
    if lacking or gone:
        return [*(f"{name} is no longer made" for name in gone), *lacking]
    try:
        features = make_features(book, inputs, past)
    except Exception as err:  # the code of a book may raise anything
        return [f"the features can no longer be made: {type(err).__name__}: {(str(err).splitlines() or [''])[0]}"]
    return [*_moved(features, answers, model.features), *_scores(model, features, answers)]


def golden_inputs(folder: Path) -> pa.Table:
    """The applications among a model's golden rows, without what names a loan. Raises ``Refused`` where none is."""
    import pyarrow.parquet as pq

    try:
        return pq.read_table(folder / FOLDER / INPUTS)
    except (OSError, pa.ArrowException) as err:
        raise Refused(f"The model in {folder.name} keeps no golden rows that could be read",
                      value=str(err).splitlines()[0], remedy="Train, approve and use a model that keeps them.") from err


def check_golden(folder: Path, name: str) -> None:
    """Refuse a model of which today's code makes something else than what was approved.

    Args:
        name: of the model, as people know it.

    Raises:
        BadInput: the model or its book cannot be read.
        Refused: a golden row has another feature or another score, or none is kept.
    """
    differences = golden_differences(folder)
    if differences:
        raise Refused(f"Today's code scores otherwise than what was approved as {name}: {'; '.join(differences)}",
                      value=f"{len(differences)} difference(s)", remedy=REMEDY)


def _telling(features: pa.Table | TableFile, seed: int) -> np.ndarray:
    """Places of rows, ascending: some by lot, and of each feature the least, the largest, a missing and every level."""
    lot = np.random.default_rng(seed).permutation(features.num_rows)
    drawn, turn = [lot[:DRAWN]], np.argsort(lot)
    for name in features.column_names:
        told = _told(features[name])
        first = np.full(told.max(initial=-1) + 1, len(lot))
        np.minimum.at(first, told[told >= 0], turn[told >= 0])
        drawn.append(lot[first[first < len(lot)]])
    return np.unique(np.concatenate(drawn))


def _told(values: pa.ChunkedArray) -> np.ndarray:
    """A whole number for what a row tells of a feature, the same for the same; -1 where it tells nothing."""
    if pa.types.is_string(values.type):
        return values.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
    numbers, ends = values.cast(pa.float64()).to_numpy(), pc.min_max(values).as_py()
    told = np.full(len(numbers), -1, np.int8)
    for code, end in enumerate(end for end in (ends["min"], ends["max"]) if end is not None):
        told[numbers.view(np.int64) == np.float64(end).view(np.int64)] = code  # -0 is another value than 0
    told[np.isnan(numbers)] = len(ends)
    return told


def _used(book: Book, there: list[str]) -> list[str]:
    """The columns of the applications that the book's features need."""
    names = {name for feature in book.features for name in feature.uses}
    if names & {each.name for each in book.aggregates}:
        # An aggregate's SQL may name any column of the applications.
        names |= {column.name for column in book.applications} | {KNOWN}
    return [name for name in there if name in names | {LOAN, "applied_on"}]


def _anonymous(book: Book, rows: pa.Table, histories: Histories) -> tuple[pa.Table, dict[str, pa.Table]]:
    """The tables with a number in place of every id: in each column of that name the same for the same id."""
    tables = {table.name: histories[table.name] for table in book.histories}
    keys = {LOAN, APPLICANT} | {name for table in book.histories for name in (*table.key, str(table.entity))}
    for name in sorted(keys):
        columns = [table[name] for table in (rows, *tables.values()) if name in table.column_names]
        if not columns or not pa.types.is_string(columns[0].type):
            continue  # a number or a date is a key among others
        known = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())
        ids = known.drop_null().unique().sort()
        numbers = pa.array([f"{place:07d}" for place in range(len(ids))], pa.string())

        def numbered(table: pa.Table, name: str = name, ids: pa.Array = ids, numbers: pa.Array = numbers) -> pa.Table:
            if name not in table.column_names:
                return table
            place = pc.index_in(table[name].combine_chunks(), value_set=ids)
            return table.set_column(table.column_names.index(name), name, numbers.take(place))

        rows, tables = numbered(rows), {of: numbered(table) for of, table in tables.items()}
    return rows, tables


def _absent(book: Book, uses: tuple[str, ...], there: list[str], histories: Histories) -> list[str]:
    """What a feature uses and the golden rows do not hold."""
    over = {each.name: each.over for each in book.aggregates}
    return [name for name in uses if (over[name] not in histories if name in over else name not in there)]


def _moved(features: pa.Table, answers: pa.Table, names: list[str]) -> Iterator[str]:
    """A sentence for every feature that is not what it was, bit for bit."""
    for name in names:
        now, then = (table[name].combine_chunks() for table in (features, answers))
        if now.type != then.type:
            yield f"{name} is a {now.type}, and was a {then.type}"
            continue
        same = pc.or_(pc.fill_null(pc.equal(now, then), False), pc.and_(now.is_null(), then.is_null()))
        other = np.flatnonzero(~same.to_numpy(zero_copy_only=False))
        if len(other):
            yield (f"{name} is another value on {len(other):,} of {len(now):,} golden rows, such as "
                   f"{_shown(now[other[0]].as_py())}, which was {_shown(then[other[0]].as_py())}")


def _scores(model: Model, features: pa.Table, answers: pa.Table) -> Iterator[str]:
    now, then = model.predict_features(features), answers[SCORE].to_numpy()
    other = now != then
    if other.any():
        yield (f"{np.count_nonzero(other):,} of {len(now):,} golden rows score otherwise, by up to "
               f"{np.abs(now - then).max():.3g}")


def _history(name: str) -> str:
    return f"history-{name}.parquet"


def _shown(value: object) -> str:
    return "missing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
