"""The Board tells which kinds of drift there are, and what the decisions are worth, from what the nights left."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from monitoring.boarded import BROKEN, CALM, board

from tollgate import lake
from tollgate.config import settings
from tollgate.monitoring import board_page
from tollgate.monitoring.board.business import loss_picture, profit_picture, volume_picture
from tollgate.monitoring.board.published import read_board
from tollgate.monitoring.business import LOSS, LOSS_AMOUNT, PROFIT, approvals, loss_amount, loss_and_profit, volume
from tollgate.monitoring.kinds import conclusions
from tollgate.stats.intervals import wilson

if TYPE_CHECKING:
    from conftest import Night

__all__ = ["board"]


def _of_night(day: date) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return tuple(lake.read(table, filters=[("day", "=", day.isoformat())]).to_pylist()  # type: ignore[return-value]
                 for table in (lake.measures("consumer"), lake.feeds("consumer")))


def test_the_board_shows_each_kind_of_drift_with_its_sentence(board: Night) -> None:
    told = [asdict(one) for one in conclusions(board.book, board.params.monitoring, *_of_night(BROKEN))]
    assert read_board("consumer")["kinds"] == told
    page = board_page("consumer")
    assert "What moved, as of 2007-05-01" in page
    assert all(escape(one["sentence"]) in page for one in told)
    by_kind = {one["kind"]: one for one in told}
    assert by_kind["feature"]["state"] == "moved" and "annual_income (PSI" in by_kind["feature"]["sentence"]
    assert page.count(">▲</span> moved") == sum(one["state"] == "moved" for one in told)


def test_a_board_that_an_older_tollgate_published_has_no_such_section(board: Night) -> None:
    store, told = lake.Store(settings().store), read_board("consumer")
    del told["kinds"]
    store.write_json("board/consumer.json", told)
    page = board_page("consumer")
    assert "What moved" not in page and "What the nights show" in page


def test_volume_and_worth_stand_beside_each_other_night_by_night(board: Night) -> None:
    picture = {one["name"]: one for one in read_board("consumer")["pictures"]}["volume"]
    assert picture["head"] == ["night", "applications", "usual", "approved", "loss, promised", "profit, promised",
                               "loss, promised, in money"]
    assert [row[0] for row in picture["rows"]] == [day.isoformat() for day in (BROKEN, *CALM[::-1])]
    rows = {row["metric"]: row for row in _of_night(BROKEN)[0] if row["kind"] == "business" and row["segment"] is None}
    assert picture["rows"][0][1:] == [
        "1,000", "1,000", f"{rows['approval_rate']['value']:.1%}", f"{rows[LOSS]['reference']:.3f}",
        f"{rows[PROFIT]['reference']:.3f}", f"{rows[LOSS_AMOUNT]['reference']:,.0f}"]
    lent = json.loads(rows[LOSS_AMOUNT]["parameters"])["lent"]
    assert picture["said"].endswith(f". Of {lent:,.0f} that the approved ask for, {picture['rows'][0][-1]} are due to "
                                    "be lost, were nothing recovered.")
    assert picture["rows"][-1][2] == "", "nothing is usual in the first nights"
    assert picture["said"].startswith("1,000 applied in the night of 2007-05-01, where 1,000 are usual; ")


def test_profit_that_came_true_has_an_interval_of_its_own(board: Night) -> None:
    picture = {one["name"]: one for one in read_board("consumer")["pictures"]}["profit"]
    true = {row["window_to"].isoformat(): f"{row['value']:.3f}" for row in
            lake.read(lake.measures("consumer")).to_pylist() if row["metric"] == PROFIT and row["value"] is not None}
    assert len(true) >= 2
    assert {row[0]: row[2].split(" ± ")[0] for row in picture["rows"] if row[2]} == true
    assert all(float(row[2].split(" ± ")[1]) > 0 for row in picture["rows"] if row[2]), "nor where nobody went bad"


def test_the_interval_of_a_profit_is_that_of_the_share_of_the_approved_that_defaulted() -> None:
    score, bad = np.full(1_000, 0.1), np.arange(1_000) < 100
    rows = [{**row, "as_of": BROKEN, "window_to": CALM[0], "segment": "scored"}
            for row in loss_and_profit(score, score > 0.5, 10.0, 0.95, bad)]
    picture = profit_picture(rows, 0.95)
    assert picture is not None
    high = wilson(100, 1_000, 0.95)[1]
    assert picture.rows == [["2007-02-01", "-0.100 ± 0.205", f"-0.100 ± {11 * (high - 0.1):.3f}"]]
    spared = [{**row, "as_of": BROKEN, "window_to": CALM[0], "segment": "scored"}
              for row in loss_and_profit(score, score > 0.5, 10.0, 0.95, bad & (score > 1))]
    picture = profit_picture(spared, 0.95)
    assert picture is not None and picture.rows[0][2] == f"1.000 ± {11 * wilson(0, 1_000, 0.95)[1]:.3f}"


def test_a_night_whose_labels_are_corrected_has_its_newest_profit(board: Night) -> None:
    """The older of two tellings has the profit of twelve defaults, the newer the loss of two."""
    score, rows = np.full(100, 0.1), []
    for day, defaults in ((CALM[1], 12), (CALM[2], 2)):
        rows += [{**row, "as_of": day, "window_to": CALM[0], "segment": "scored"}
                 for row in loss_and_profit(score, score > 0.5, 10.0, 0.95, np.arange(100) < defaults)]
    picture = profit_picture(rows, 0.95)
    assert picture is not None
    assert picture.rows[0][2] == f"0.780 ± {11 * (wilson(2, 100, 0.95)[1] - 0.02):.3f}"


def test_money_that_was_lost_stands_beside_what_was_promised_as_a_share_of_what_was_lent(board: Night) -> None:
    picture = {one["name"]: one for one in read_board("consumer")["pictures"]}["loss_amount"]
    rows = [row for row in lake.read(lake.measures("consumer")).to_pylist() if row["metric"] == LOSS_AMOUNT]
    true = {row["window_to"].isoformat(): row["value"] / json.loads(row["parameters"])["lent"]
            for row in rows if row["value"] is not None}
    assert len(true) >= 2
    assert {row[0]: row[2] for row in picture["rows"] if row[2]} == {
        day: f"{share:.1%}" for day, share in true.items()}
    score, amount = np.full(4, 0.1), np.array([100.0, 200.0, 300.0, 400.0])
    told = {"as_of": BROKEN, "window_to": CALM[0], "segment": "scored"}
    by_hand = loss_picture([{**loss_amount(score, score > 1, amount, 0.95, amount == 300), **told}])
    assert by_hand is not None and by_hand.rows == [["2007-02-01", "10.0% ± 32.2%", "30.0%"]]
    assert loss_picture([{**loss_amount(score, score < 1, amount, 0.95), **told}]) is None, "nobody is approved"


def test_without_a_night_there_is_no_picture_and_one_that_scored_nobody_has_its_volume() -> None:
    assert volume_picture([]) is None and profit_picture([], 0.99) is None
    nobody = np.array([])
    rows = [{**row, "as_of": BROKEN} for row in (
        volume([0, 10, 12, 11], 0.99), approvals(nobody > 0, 0, None, 0.99),
        *loss_and_profit(nobody, nobody > 0, 10.0, 0.99))]
    picture = volume_picture(rows)
    assert picture is not None and picture.rows == [["2007-05-01", "0", "11", "", "", "", ""]]
    assert picture.said == "0 applied in the night of 2007-05-01, where 11 are usual."
    assert profit_picture(rows, 0.99) is None
