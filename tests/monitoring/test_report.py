from __future__ import annotations

import socket
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tollgate.books import ratio
from tollgate.config import settings
from tollgate.errors import BadInput
from tollgate.lake import Store
from tollgate.monitoring import performance_step
from tollgate.monitoring.report import write_report
from tollgate.monitoring.window import load_window

if TYPE_CHECKING:
    from conftest import Night

FEB = date(2007, 2, 1)


def test_the_report_is_two_pages_made_without_the_network_and_the_same_again(
        night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: reached.append(address))
    night.publish("covariate_shift", FEB)
    performance_step(night.book, FEB, night.params)
    night.drift(FEB)
    verdict = night.verdict(FEB)
    window = load_window(night.book, FEB, night.params.monitoring)
    answer = write_report(night.book, FEB, night.params, window, night.model)
    store = Store(settings().store)
    assert answer["uri"] == f"{settings().store}/reports/consumer/2007-02-01/index.html"
    index, beside = (store.read(f"reports/consumer/2007-02-01/{name}.html") for name in ("index", "drift"))
    text = _text_of(index.decode())
    assert verdict["sentence"] in text and verdict["alerts"][0]["message"] in text
    assert "The scores alone promise an AUC of 0." in text and "not seen before the labels come" in text
    assert "feature: moved" in text and all(one["sentence"] in text for one in verdict["kinds"])
    assert all(feature.name in text for feature in night.book.features)
    assert b'href="drift.html"' in index
    assert b"credit_score" in beside and b'src="http' not in beside
    assert not any(word in beside for word in (b"Drift is", b"drift is", b"Drift score", b"stattest")), "S8"
    write_report(night.book, FEB, night.params, window, night.model)
    assert store.read("reports/consumer/2007-02-01/index.html") == index
    assert store.read("reports/consumer/2007-02-01/drift.html") == beside
    assert reached == []


def test_a_model_is_monitored_on_after_its_book_retired_one_feature_and_gained_another(night: Night) -> None:
    night.run("covariate_shift", FEB)
    gone, *kept = night.book.features
    gained = ratio("income_per_dollar", "annual_income", "loan_amount")
    after = replace(night, book=replace(night.book, features=(*kept, gained), retired=(gone,)))
    assert gone.name in [row["subject"] for row in after.drift(FEB)["measures"]]
    write_report(after.book, FEB, night.params, load_window(after.book, FEB, night.params.monitoring), night.model)
    beside = Store(settings().store).read("reports/consumer/2007-02-01/drift.html")
    assert gone.name.encode() in beside and gained.name.encode() not in beside


def test_a_report_before_the_verdict_says_what_to_run(night: Night) -> None:
    night.publish("stationary", FEB)
    with pytest.raises(BadInput, match="tollgate monitor verdict consumer"):
        write_report(night.book, FEB, night.params, load_window(night.book, FEB, night.params.monitoring), night.model)


def _text_of(page: str) -> str:
    parts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = parts.append  # type: ignore[method-assign]
    parser.feed(page)
    return "".join(parts)
