"""The Model Board tells whether the model is all right, since when and why, from what the nights left in the lake."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from monitoring.boarded import BROKEN, CALM, HTML, board, one_night, promote, register

from tollgate import incidents, lake, requests
from tollgate.books import load_book
from tollgate.config import settings
from tollgate.errors import BadInput
from tollgate.lake import Store
from tollgate.monitoring import acknowledge, board_page, night_page
from tollgate.monitoring.board import publish_board
from tollgate.monitoring.board.groups import fairness_picture
from tollgate.monitoring.board.judgement import judge, level_of_night
from tollgate.monitoring.board.pictures import default_picture, vintages_picture
from tollgate.monitoring.board.published import read_board
from tollgate.monitoring.paired import GUARD, JUDGEMENT
from tollgate.monitoring.performance import expected, matured, of_cohort
from tollgate.monitoring.steps import record_measures

if TYPE_CHECKING:
    from conftest import Night

__all__ = ["board"]
MATURED = CALM[-1]  # by then the first loans had: of a month on book fewer are bad than the scores say of two years
CHAMPION = [{"version": "1", "state": "champion"}]


def nights(*levels: str, version: str = "1") -> list[dict[str, Any]]:
    """Verdicts of one day after the other, the newest last; here they are turned."""
    return [{"as_of": (date(2007, 1, 1) + timedelta(place)).isoformat(), "model_version": version, "level": "major",
             "sentence": "Too few rows.", "judged": level} for place, level in enumerate(levels)][::-1]


def test_the_board_says_since_when_and_why_and_what_was_done(board: Night) -> None:
    page = board_page("consumer")
    (verdict,) = lake.read(lake.verdicts("consumer"), filters=[("day", "=", BROKEN.isoformat())]).to_pylist()
    assert f"Version 1 needs a person, since {MATURED}" in page
    assert escape(verdict["sentence"]) in page
    told = [(alert["severity"] == "warning", alert["rank"]) for alert in read_board("consumer")["alerts"]]
    assert told == sorted(told, reverse=True), "the gravest first"
    gravest = read_board("consumer")["alerts"][0]
    assert gravest["severity"] == "warning" and f"<li>{escape(gravest['message'])}</li>" in page
    assert "Version 2 passed its gates and waits for a person" in page
    assert page.count("Gates: 1 of 1 passed") == 2


def test_what_people_do_between_the_nights_is_on_the_page_at_once(board: Night) -> None:
    assert "nobody yet" in board_page("consumer")
    for alert in read_board("consumer")["alerts"]:
        acknowledge("consumer", alert["event"], "seen", by="On Call")
    requests.claim("consumer", f"consumer-by-hand-{BROKEN}", "a run")
    page = board_page("consumer")
    assert "nobody yet" not in page and "On Call" in page
    assert '<a href="../dags/retrain_on_drift__consumer/runs/a%20run">claimed</a>' in page
    promote("3", previous="1")
    page = board_page("consumer")
    assert "Version 3 is the champion since the newest night that was judged, which version 1 scored." in page


def test_a_version_leads_to_its_pages_in_mlflow_where_a_browser_finds_them(
        board: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"MLflow run <code>{'2' * 32}</code>" in board_page("consumer")
    assert "in a new tab" not in board_page("consumer"), "a database is no address"
    monkeypatch.setenv("TOLLGATE_MLFLOW", "https://ann:secret@mlflow.example:5000/ml/")
    page = board_page("consumer")
    assert 'href="https://mlflow.example:5000/ml/#/models/tollgate-consumer/versions/2" target="_blank" ' \
           'rel="noopener noreferrer"' in page
    assert f'href="https://mlflow.example:5000/ml/#/runs/{"2" * 32}" target="_blank"' in page
    assert "secret" not in page and f"<code>{'2' * 32}</code>" not in page
    monkeypatch.setenv("TOLLGATE_MLFLOW_UI", "http://localhost:5000")  # as where services call it by another name
    page = board_page("consumer")
    assert "http://localhost:5000/#/models" in page and "mlflow.example" not in page
    monkeypatch.setenv("TOLLGATE_MLFLOW_UI", "javascript:alert(1)")
    assert "javascript" not in board_page("consumer")


def test_a_version_leads_to_the_run_of_airflow_that_trained_it(board: Night) -> None:
    assert ">training</a>" not in board_page("consumer"), "by hand, or by an older Tollgate"
    register("3", trained_in="train_weekly__consumer/manual__2007-05-01T00:00:00+00:00")
    page = board_page("consumer")
    assert 'href="../dags/train_weekly__consumer/runs/manual__2007-05-01T00%3A00%3A00%2B00%3A00">training</a>' in page


def test_the_same_nights_give_the_same_bytes_and_an_older_one_measured_again_does_not_take_the_newests_place(
        board: Night) -> None:
    store = Store(settings().store)
    before = store.read("board/consumer.json")
    one_night(board, "stationary", CALM[1])
    assert publish_board(board.book, board.params) == "board/consumer.json"
    assert store.read("board/consumer.json") == before


def test_the_numbers_beside_a_picture_are_those_of_the_lake(board: Night) -> None:
    pictures = {picture["name"]: picture for picture in read_board("consumer")["pictures"]}
    assert list(pictures) == [
        "psi", "auc", "defaults", "declined", "fairness", "alerts", "vintages", "volume", "profit", "loss_amount"]
    rows = lake.read(lake.measures("consumer")).to_pylist()
    psi = {(row["day"][:7], row["subject"]): f"{row['value']:.2f} {row['level']}" for row in rows
           if row["metric"] == "psi"}
    head = pictures["psi"]["head"]
    assert {(row[0], subject): cell for row in pictures["psi"]["rows"]
            for subject, cell in zip(head[1:], row[1:], strict=True)} == psi
    assert head[1:len(load_book("consumer").critical) + 2] == [*load_book("consumer").critical, "score"]
    true = {row["window_to"].isoformat(): f"{row['value']:.1%}" for row in rows
            if row["metric"] == "default_rate" and row["value"] is not None}
    assert len(true) >= 2
    assert {row[0]: row[2].split(" ± ")[0] for row in pictures["defaults"]["rows"] if row[2]} == true
    assert [row[0] for row in pictures["auc"]["rows"]] == [day.isoformat() for day in (BROKEN, *CALM[::-1])]
    assert all(f'aria-labelledby="{name}-title"' in picture["svg"] for name, picture in pictures.items())
    assert not any("#0000" in picture["svg"] or "<style" in picture["svg"] for picture in pictures.values())


def test_what_came_true_of_the_booked_is_not_held_against_what_was_promised_of_the_declined_too() -> None:
    score = np.repeat([0.05, 0.5], 500)
    declined, bad = score > 0.1, np.arange(1_000) % 20 == 0  # the scores are right about the loans that are booked
    tonight = [{**row, "as_of": CALM[0], "window_to": CALM[0]} for row in expected(score, declined, 0.95)]
    score, declined, bad = score[~declined], declined[~declined], bad[~declined]
    cohort = {"rows": 1_000, "labelled": 500, "unbooked": 500, "indeterminate": 0, "decline_rate": 0.5,
              **matured(bad.astype(np.int8), score, declined)}
    later = [{**row, "as_of": BROKEN, "window_to": CALM[0], "segment": f"scored {CALM[0]}"}
             for row in of_cohort(score, declined, cohort, None, 0.95) if row["metric"] == "default_rate"]
    young, ripe = default_picture(tonight, 0.95), default_picture([*tonight, *later], 0.95)
    assert young is not None and young.rows[0][1].startswith("27.5% ± ")
    assert ripe is not None and ripe.rows == [[CALM[0].isoformat(), "5.0% ± 1.9%", "5.0% ± 1.9%"]]
    assert ripe.said.endswith("5.0% ± 1.9% came true where 5.0% ± 1.9% was promised.")


def test_how_far_apart_the_groups_are_decided_on_is_told_of_each_pair_beside_its_own_luck(board: Night) -> None:
    (picture,) = (one for one in read_board("consumer")["pictures"] if one["name"] == "fairness")
    gaps = {(row["day"], f"{row['subject']}: {row['segment']}"): f"{row['value']:.1%} (luck {row['null_value']:.1%})"
            for row in lake.read(lake.measures("consumer")).to_pylist() if row["metric"] == "decline_rate_gap"}
    assert len(gaps) >= 8
    assert {(row[0], pair): cell for row in picture["rows"]
            for pair, cell in zip(picture["head"][1:], row[1:], strict=True) if cell} == gaps
    assert "no two of the groups lie further apart than luck explains" in picture["said"]


def test_a_pair_of_groups_that_lies_beyond_luck_is_named_first() -> None:
    gap = {"subject": "sex", "as_of": date(2007, 1, 1), "null_value": 0.05, "n": 900}
    drawn = fairness_picture([{**gap, "segment": "a and b", "value": 0.04},
                              {**gap, "segment": "b and c", "value": 0.12}])
    assert drawn is not None and drawn.head == ["night", "sex: b and c", "sex: a and b"]
    assert drawn.said == "On 2007-01-01 the decline rates lie further apart than luck explains (dotted) of " \
                         "sex: b and c (12.0%)."
    assert fairness_picture([]) is None


def test_what_went_wrong_in_operation_stands_among_the_alerts_of_the_nights(board: Night) -> None:
    failed, late = "failed:score_nightly__consumer.pin", "late:score_nightly__consumer"
    incidents.begin("consumer", failed, CALM[0], "It failed.")
    incidents.end("consumer", [failed], CALM[1])
    incidents.begin("consumer", failed, CALM[1], "It failed again, the day that it was mended.")
    incidents.end("consumer", [failed], CALM[2])
    incidents.begin("consumer", late, CALM[2], "It is late.", severity="page")
    incidents.begin("consumer", "late:train", BROKEN + timedelta(1), "Heard of after the newest night.")
    publish_board(board.book, board.params)
    (picture,) = (one for one in read_board("consumer")["pictures"] if one["name"] == "alerts")
    told = [row for row in picture["rows"] if row[0].startswith(("failed:", "late:"))]
    assert told == [["late:score_nightly", "", CALM[2].isoformat(), "under way", "page"],
                    ["failed:score_nightly.pin", "", CALM[1].isoformat(), CALM[2].isoformat(), "warning"],
                    ["failed:score_nightly.pin", "", CALM[0].isoformat(), CALM[1].isoformat(), "warning"]]
    assert "late:score_nightly" in picture["said"] and "failed:" not in picture["said"]
    assert "late:train" in board_page("consumer"), "what is under way is told when somebody looks"


def test_a_small_night_of_which_nobody_defaulted_is_drawn_with_those_before_it(night: Night) -> None:
    promote("1")
    night.outcomes("stationary")
    for day, rows in zip(CALM, (400, 3), strict=False):
        night.publish("stationary", day, rows=rows)
    one_night(night, "stationary", date(2009, 3, 31), rows=0)
    publish_board(night.book, night.params)
    picture = {one["name"]: one for one in read_board("consumer")["pictures"]}["auc"]
    newest = next(row for row in picture["rows"] if row[2])
    (row,) = [row for row in lake.read(lake.measures("consumer")).to_pylist() if row["metric"] == "auc"
              and row["segment"] == f"scored {CALM[0]} to {CALM[1]}"]
    value, error = newest[2].split(" ± ")
    assert (newest[0], value) == (CALM[1].isoformat(), f"{row['value']:.3f}") and 0 < float(error) < 0.1


def test_a_night_that_was_not_reported_on_is_named(board: Night) -> None:
    board.publish("stationary", date(2007, 6, 1))
    assert "The night of 2007-06-01 is published, and monitor_drift did not report on it yet" in board_page("consumer")


def test_what_the_guard_found_of_the_champion_stands_beside_it(board: Night) -> None:
    told = json.dumps({"former": "0", "evidence": "It ranks as well."})
    record_measures(board.book, BROKEN, BROKEN, "1", [{"kind": GUARD, "subject": "champion", "metric": JUDGEMENT,
                                                       "n": 1_000, "level": "within", "parameters": told}], (GUARD,))
    publish_board(board.book, board.params)
    assert "Guard: beside version 0 on 1,000 loans it is within. It ranks as well." in board_page("consumer")


def test_a_book_without_models_says_so(home: object) -> None:
    page = board_page("consumer")
    assert "No model is registered yet: nothing scores this book." in page
    assert "../dags/train_weekly__consumer" in page and "<figure" not in page
    with pytest.raises(BadInput, match="consumer has no verdict yet .* tollgate monitor verdict consumer"):
        publish_board(load_book("consumer"), None)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="consumer has no such page as of 2007-05-01 .* tollgate monitor report"):
        night_page("consumer", BROKEN)


def test_no_text_of_a_person_or_a_book_becomes_a_part_of_the_page(board: Night) -> None:
    page = board_page("consumer")
    assert HTML not in page and page.count(escape(HTML)) > 5


@pytest.mark.parametrize(("levels", "level", "since"), [
    (("all right", "all right"), "all right", "2007-01-01"), (("act", "all right"), "all right", "2007-01-02"),
    (("act", "watch", "act", "act"), "act", "2007-01-03"), (("cannot tell",), "cannot tell", "2007-01-01")])
def test_since_is_the_first_of_the_nights_in_a_row_that_were_alike(levels: tuple[str, ...], level: str,
                                                                  since: str) -> None:
    told = judge(CHAMPION, nights(*levels), [])
    assert (told.level, told.since) == (level, since) and since in told.sentence


def test_what_a_former_champion_did_is_not_told_of_its_successor() -> None:
    told = judge(CHAMPION, [*nights("act", "act")[:1], *nights("act", version="0")], [])
    assert told.since == "2007-01-02"
    assert judge(CHAMPION, nights("act", version="0"), []).level == "cannot tell"


@pytest.mark.parametrize(("drift", "events", "level"), [
    ("stable", (), "all right"), ("major", (), "watch"), ("unknown", (), "cannot tell"),
    ("stable", (("info", "lasts"),), "watch"), ("stable", (("page", "lasts"), ("info", "began")), "act"),
    ("unknown", (("warning", "began"),), "act"), ("stable", (("warning", "ended"),), "all right")])
def test_a_night_is_as_grave_as_what_was_going_on(drift: str, events: tuple[tuple[str, str], ...], level: str) -> None:
    assert level_of_night({"level": drift}, [{"severity": severity, "status": status}
                                             for severity, status in events]) == level


def test_the_vintages_of_a_book_in_its_first_month_are_drawn_over_whole_months() -> None:
    picture = vintages_picture([{"booked": "2007-02", "loans": 100, "months_on_book": 0, "known_bad": 1, "share": 0.01,
                                 "expected_bad": None, "by_month": [0.01]}])
    assert picture is not None
    assert re.findall(r">\d\.\d+<", picture.svg) == []
