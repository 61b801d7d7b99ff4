"""A model keeps what its features and scores were; code that makes something else of it is named by the feature."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from features.test_one_row import ROWS, applications, past
from small_model import keep_model

from tollgate.books import LOAN, Book, Feature, load_book
from tollgate.books.shipped import instalment
from tollgate.config import find_book, known_books
from tollgate.errors import Refused
from tollgate.features import check_golden, golden_differences, make_features, write_golden
from tollgate.features.golden import DRAWN


def asked(book: Book) -> pa.Table:
    """Applications with the day on which each arrived."""
    rows = applications(book, 1, wild=0.0)
    return rows.append_column("known_on", rows["applied_on"])


@pytest.fixture(scope="module", params=known_books())
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Book, Path]:
    """A book, and the folder of a small model of it that keeps golden rows."""
    book = load_book(request.param)
    rows, histories, folder = asked(book), past(book), tmp_path_factory.mktemp(book.name)
    features = make_features(book, rows, histories)
    keep_model(folder, book, features, np.random.default_rng(2).random(ROWS) < 0.3)
    write_golden(folder, rows, features, histories, seed=1)
    return book, folder


@pytest.fixture
def other_book(monkeypatch: pytest.MonkeyPatch) -> Callable[[Book], None]:
    """Puts another description in the place of a book."""
    def put(book: Book) -> None:
        found = find_book(book.name)
        monkeypatch.setattr(import_module(found.module), found.attribute, book)
    return put


def with_feature(book: Book, name: str, change: Callable[[Feature], Feature]) -> Book:
    return replace(book, features=tuple(change(f) if f.name == name else f for f in book.features))


def test_the_same_code_makes_the_same_of_them(kept: tuple[Book, Path]) -> None:
    assert golden_differences(kept[1]) == []


def test_a_feature_changed_under_its_name_is_named_with_a_value_of_then_and_of_now(
        kept: tuple[Book, Path], other_book: Callable[[Book], None]) -> None:
    book, folder = kept
    feature = next(f for f in book.features if f.kind == "number")
    other_book(with_feature(book, feature.name, lambda f: replace(f, make=lambda *of: f.make(*of) + 1.0)))
    told = golden_differences(folder)
    assert told[0].startswith(f"{feature.name} is another value on ")
    assert " golden rows, such as " in told[0]
    assert all("score otherwise" in sentence for sentence in told[1:])
    with pytest.raises(Refused, match=rf"(?s)approved as number 7: {feature.name}.*retired"):
        check_golden(folder, "number 7")


def test_a_change_that_touches_the_missing_alone_is_seen(
        kept: tuple[Book, Path], other_book: Callable[[Book], None]) -> None:
    book, folder = kept
    answers = pq.read_table(folder / "golden" / "answers.parquet")
    feature = next((f for f in book.features if f.kind == "number" and answers[f.name].null_count), None)
    if feature is None:
        assert book.name != "instalment"  # whose loans have histories that are empty
        return
    other_book(with_feature(book, feature.name, lambda f: replace(f, make=lambda *of: np.nan_to_num(f.make(*of)))))
    assert golden_differences(folder)[0].startswith(f"{feature.name} is another value on "
                                                    f"{answers[feature.name].null_count} of ")


def test_a_retired_feature_is_still_made_and_one_taken_out_is_missed(
        kept: tuple[Book, Path], other_book: Callable[[Book], None]) -> None:
    book, folder = kept
    gone, *others = book.features
    other_book(replace(book, features=tuple(others), retired=(gone,)))
    assert golden_differences(folder) == []
    other_book(replace(book, features=tuple(others), critical=()))
    assert golden_differences(folder) == [f"{gone.name} is no longer made"]


def test_a_feature_made_of_another_column_is_named(
        kept: tuple[Book, Path], other_book: Callable[[Book], None]) -> None:
    book, folder = kept
    feature = book.features[0]
    other_book(with_feature(book, feature.name, lambda f: replace(f, uses=(*f.uses, "a_new_column"))))
    assert golden_differences(folder) == [f"{feature.name} is made of a_new_column now, which it was not"]


def test_new_features_of_the_book_are_no_concern_of_an_old_model(
        kept: tuple[Book, Path], other_book: Callable[[Book], None]) -> None:
    book, folder = kept
    new = Feature("new", "number", ("a_new_column",), lambda x: x)
    other_book(replace(book, features=(*book.features, new)))
    assert golden_differences(folder) == []


def test_an_aggregate_changed_under_its_name_is_seen_through_its_features(
        kept: tuple[Book, Path], other_book: Callable[[Book], None]) -> None:
    book, folder = kept
    if not book.aggregates:
        assert book.name != instalment.BOOK.name
        return
    first = next(each for each in book.aggregates if each.sql and each.kind == "number")
    fed = {f.name for f in book.features if first.name in f.uses}
    other_book(replace(book, aggregates=tuple(replace(each, sql=f"1000 + ({each.sql})") if each is first else each
                                              for each in book.aggregates)))
    assert {sentence.split()[0] for sentence in golden_differences(folder)} & fed


def test_a_library_that_scores_otherwise_is_seen(kept: tuple[Book, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(kept[1], tmp_path / "model"))
    answers = pq.read_table(folder / "golden" / "answers.parquet")
    moved = np.nextafter(answers["score"].to_numpy(), 1)
    pq.write_table(answers.set_column(answers.column_names.index("score"), "score", pa.array(moved)),
                   folder / "golden" / "answers.parquet")
    assert golden_differences(folder)[0].startswith(f"{answers.num_rows} of {answers.num_rows} golden rows score")


def test_a_model_without_golden_rows_is_refused(kept: tuple[Book, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(kept[1], tmp_path / "model"))
    (folder / "golden" / "answers.parquet").unlink()
    with pytest.raises(Refused, match="keeps no golden rows"):
        golden_differences(folder)


def test_nobody_can_be_told_from_them(kept: tuple[Book, Path]) -> None:
    book, folder = kept
    loans = set(asked(book)[LOAN].to_pylist())
    for path in sorted((folder / "golden").iterdir()):
        for column in pq.read_table(path).itercolumns():
            assert not loans & set(column.to_pylist()), path.name


def test_every_level_and_both_ends_of_every_number_are_among_them(kept: tuple[Book, Path]) -> None:
    book, folder = kept
    features = make_features(book, asked(book), past(book))
    answers = pq.read_table(folder / "golden" / "answers.parquet")
    assert answers.num_rows <= DRAWN + 3 * len(book.features) + sum(
        len(features[f.name].unique()) for f in book.features if f.kind == "category")
    for name in features.column_names:
        if pa.types.is_string(features[name].type):
            assert set(answers[name].unique().to_pylist()) == set(features[name].unique().to_pylist())
        else:
            assert pc.min_max(answers[name]) == pc.min_max(features[name])
