"""The simulated book plays a lender: it declines by a policy, then by the champion, and keeps everybody's truth."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.published import publish

from tollgate.books.shipped import consumer
from tollgate.labels import read_labels

FIRST, LAST = "2003-01", "2003-12"
NIGHT, NEXT_NIGHT = date(2003, 7, 1), date(2003, 8, 1)
AS_BEFORE = ("loan_id", "application_date", "applicant_name", "credit_score", "loan_amount", "annual_income",
             "debt_to_income_ratio", "num_delinquencies_12m", "employment_years", "home_ownership", "purpose", "state",
             "sex", "age_band")


def simulated(**options: Any) -> pa.Table:
    return consumer.simulate(seed=5, rows_a_month=500, first_month=FIRST, last_month=LAST, **options)


@pytest.fixture(scope="module")
def world() -> pa.Table:
    return simulated(declined=0.2, withdrawn=0.03)


@pytest.fixture(scope="module")
def folder(world: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("source")
    pq.write_table(world, place / "source.parquet")
    return place


def sent(folder: Path, table: str, first: str = FIRST, last: str = "2006-12",
         scored: pa.Table | None = None) -> dict[str, dict[str, Any]]:
    rows = consumer.extract(folder, table, first, last, scored).to_pylist()
    found = {row["loan_id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def night(*rows: tuple[str, date, str, float | None]) -> pa.Table:
    return pa.Table.from_pylist([{"loan_id": loan, "as_of": day, "decision": decision, "score": score,
                                  "model_version": "7"} for loan, day, decision, score in rows])


def test_what_was_drawn_before_there_was_a_lender_is_the_same_to_the_byte() -> None:
    rows = consumer.simulate(seed=20070101, rows_a_month=20, first_month="2006-11", last_month="2007-02",
                             scenario="covariate_shift", declined=0.4, withdrawn=0.1)
    told = [*rows.select(AS_BEFORE).to_pylist(), *rows["true_probability"].to_numpy().round(9).tolist(),
            *rows["default_after"].to_pylist()]
    assert hashlib.sha256(repr(told).encode()).hexdigest() == \
        "eabdcadaf18c4fbc5f2fc4938647ffd2b82ef2c2abc4bb79180a56818de1dee1"


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
def test_the_policy_declines_the_stated_share_and_it_is_the_riskier_one(share: float) -> None:
    rows = simulated(declined=share)
    decision, truth = rows["decision"].to_numpy(), rows["true_probability"].to_numpy()
    assert np.mean(decision == "declined") == pytest.approx(share, abs=0.006)
    if share:
        assert truth[decision == "declined"].mean() > 3 * truth[decision == "approved"].mean()
        assert truth[decision == "declined"].min() < np.median(truth) < truth[decision == "approved"].max()


def test_some_beyond_the_cutoff_are_approved_at_random_and_the_probability_is_told() -> None:
    rows = simulated(declined=0.4, explored=0.1).to_pandas()
    beyond = rows[rows.approval_probability < 1]
    assert set(beyond.approval_probability) == {0.1}
    assert np.mean(beyond.decision == "approved") == pytest.approx(0.1, abs=0.02)
    assert beyond.score.min() > rows[rows.approval_probability == 1].score.max()
    assert set(rows[rows.approval_probability == 1].decision) == {"approved"}
    explored, declined = beyond[beyond.decision == "approved"], beyond[beyond.decision == "declined"]
    assert explored.true_probability.mean() == pytest.approx(declined.true_probability.mean(), abs=0.06)


def test_a_shift_of_the_applicants_moves_the_share_that_the_same_cutoff_declines() -> None:
    rows = consumer.simulate(seed=5, rows_a_month=500, first_month="2006-07", last_month="2007-06", declined=0.2,
                             scenario="covariate_shift").to_pandas()
    late = rows.application_date >= date(2007, 1, 1)
    assert np.mean(rows[~late].decision == "declined") == pytest.approx(0.2, abs=0.02)
    assert np.mean(rows[late].decision == "declined") > 0.35


def test_the_truth_of_the_declined_is_kept_and_nobodys_truth_depends_on_the_policy(world: pa.Table) -> None:
    rows, everybody = world.to_pandas(), simulated().to_pandas()
    assert rows.default_date.notna().equals(everybody.default_date.notna())
    assert rows.default_after.equals(everybody.default_after)
    declined = rows[rows.decision == "declined"]
    assert declined.default_date.notna().mean() == pytest.approx(declined.true_probability.mean(), abs=0.04)
    assert declined.booking_date.isna().all()
    assert everybody.booking_date.notna().all()


def test_outcomes_are_sent_of_booked_loans_alone_after_the_stated_lag(world: pa.Table, folder: Path) -> None:
    decisions, outcomes = sent(folder, "decisions"), sent(folder, "outcomes")
    booked = {loan: row["booking_date"] for loan, row in decisions.items() if row["booking_date"]}
    assert {row["decision"] for loan, row in decisions.items() if loan in booked} == {"approved"}
    assert 0.02 < sum(row["decision"] == "withdrawn" for row in decisions.values()) / len(decisions) < 0.04
    ends = {row["loan_id"] for row in world.to_pylist() if row["default_after"] is not None}
    assert set(outcomes) == ends & set(booked) != ends
    lag = timedelta(days=consumer.BOOK.target.lag_days)
    for loan, row in outcomes.items():
        assert row["reported_date"] - row["default_date"] == lag
        assert timedelta(days=30) <= row["default_date"] - booked[loan] < timedelta(days=consumer.HORIZON_DAYS)


def test_a_quarter_applied_before_and_an_applicant_keeps_sex_and_age_band(world: pa.Table) -> None:
    rows = world.to_pandas().sort_values(["application_date", "loan_id"])
    assert rows.customer_id.duplicated().mean() == pytest.approx(0.25, abs=0.02)
    assert (rows.groupby("customer_id")[["sex", "age_band"]].nunique() == 1).all(axis=None)
    assert rows.customer_id.value_counts().max() > 2
    first = rows.drop_duplicates("customer_id")
    assert (first.customer_id.str[1:] == first.loan_id.str[1:]).all()


def test_who_applies_again_is_the_same_in_every_scenario() -> None:
    usual, other = (consumer.simulate(seed=5, rows_a_month=50, first_month="2006-12", last_month="2007-02",
                                      scenario=scenario, declined=share)
                    for scenario, share in (("stationary", 0.0), ("covariate_shift", 0.4)))
    assert usual["customer_id"].equals(other["customer_id"])


def test_months_sent_one_by_one_tell_a_later_booking_by_the_same_decision_once_more(folder: Path) -> None:
    times: Counter[str] = Counter()
    last: dict[str, dict[str, Any]] = {}
    for month in (f"2003-{m:02d}" for m in range(1, 13)):
        for loan, row in sent(folder, "decisions", month, month).items():
            days = [f"{row[day]:%Y-%m}" for day in ("decision_date", "booking_date") if row[day]]
            assert max(days) == month
            if loan in last:
                assert {**row, "booking_date": None} == last[loan]
            times[loan] += 1
            last[loan] = row
    at_once = sent(folder, "decisions", FIRST, "2003-12")
    assert last == at_once
    assert set(times.values()) == {1, 2}


def test_every_table_has_the_columns_that_the_book_describes(folder: Path) -> None:
    for table in consumer.BOOK.tables:
        rows = consumer.extract(folder, table.name, "2003-06", "2003-08", None)
        assert rows.column_names == [column.source for column in table.columns]
        assert rows.num_rows
        for column in table.columns:
            assert column.nullable or not rows[column.source].null_count


def test_from_the_first_night_on_the_champion_decides_and_what_it_has_not_scored_is_pending(folder: Path) -> None:
    applications, by_policy = sent(folder, "applications"), sent(folder, "decisions")
    july = [loan for loan, row in applications.items() if f"{row['application_date']:%Y-%m}" == "2003-07"]
    june = [loan for loan, row in applications.items() if f"{row['application_date']:%Y-%m}" == "2003-06"]
    refused = [loan for loan in july if by_policy[loan]["decision"] == "declined"][:3]
    approved, declined, unscored = (sorted(set(july) - set(refused))[i:i + 120] for i in (0, 120, 240))
    scored = night((june[0], NIGHT, "decline", 0.9),  # applied before the first night: the policy had it
                   *((loan, NEXT_NIGHT, "approve", 0.1) for loan in approved),
                   *((loan, NEXT_NIGHT, "decline", 0.8) for loan in declined),
                   *((loan, NEXT_NIGHT, "refused", None) for loan in refused),
                   *((loan, date(2003, 8, 2), "approve", 0.2) for loan in declined))  # a later night changes nothing
    looped = sent(folder, "decisions", scored=scored)
    assert looped == sent(folder, "decisions", scored=scored)
    assert all(looped[loan] == by_policy[loan] for loan in june)
    assert not set(unscored) & set(looped)
    assert {row["decision_date"] for loan, row in looped.items() if loan in july} == {NEXT_NIGHT}
    for loan in approved:
        row = looped[loan]
        assert (row["policy"], row["score"], row["approval_probability"]) == ("model v7", 0.1, 1.0)
        assert row["decision"] in {"approved", "withdrawn"}
        assert (row["booking_date"] is not None) == (row["decision"] == "approved")
    assert {looped[loan]["decision"] for loan in approved} == {"approved", "withdrawn"}
    assert {(looped[loan]["decision"], looped[loan]["approval_probability"]) for loan in declined} == {("declined", 0)}
    assert all(looped[loan]["policy"] == "scorecard-2003" and looped[loan]["decision"] == "declined"
               for loan in refused)


def test_under_the_loop_an_outcome_follows_the_booking_that_the_champion_made(world: pa.Table, folder: Path) -> None:
    ends = {row["loan_id"]: row for row in world.to_pylist()
            if row["default_after"] is not None and row["application_date"] >= NIGHT}
    open_to = [loan for loan, row in ends.items() if not row["withdraws"]]
    yes, no = open_to[0::2], open_to[1::2]
    scored = night(("C00000000", NIGHT, "approve", 0.0), *((loan, date(2004, 1, 1), "approve", 0.1) for loan in yes),
                   *((loan, date(2004, 1, 1), "decline", 0.9) for loan in no))
    decisions, outcomes = (sent(folder, table, scored=scored) for table in ("decisions", "outcomes"))
    assert {loan for loan in outcomes if loan in ends} == set(yes)
    for loan in yes:
        assert (outcomes[loan]["default_date"] - decisions[loan]["booking_date"]).days == ends[loan]["default_after"]


def test_an_extract_before_the_night_is_the_same_with_and_without_it(folder: Path) -> None:
    scored = night(("C00004000", NEXT_NIGHT, "approve", 0.1))
    for table in ("applications", "decisions", "outcomes"):
        assert sent(folder, table, FIRST, "2003-07", scored) == sent(folder, table, FIRST, "2003-07")
        assert sent(folder, table, FIRST, "2003-07", scored.slice(0, 0)) == sent(folder, table, FIRST, "2003-07")


def test_a_fetch_brings_the_lender_that_the_scenario_names_and_renews_a_source_of_before(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer.simulate, "__kwdefaults__", {**(consumer.simulate.__kwdefaults__ or {}),
                                                              "rows_a_month": 60})
    shares = {}
    for scenario in ("stationary", "everybody", "cautious"):
        consumer.fetch(tmp_path / scenario, lambda done, of: None, 3, scenario)
        rows = pq.read_table(tmp_path / scenario / "source.parquet")
        shares[scenario] = np.mean(rows["decision"].to_numpy() == "declined")
    assert shares["everybody"] == 0
    assert shares["stationary"] == pytest.approx(0.2, abs=0.02)
    assert shares["cautious"] == pytest.approx(0.4, abs=0.02)
    source = tmp_path / "everybody" / "source.parquet"
    pq.write_table(pq.read_table(source).drop_columns(["booked_after"]), source)
    consumer.fetch(tmp_path / "everybody", lambda done, of: None, 3, "everybody")
    assert "booked_after" in pq.read_schema(source).names


def test_by_the_books_target_the_booked_are_bad_or_good_as_they_truly_ended_and_the_others_unbooked(
        home: Path, world: pa.Table, folder: Path) -> None:
    for table in consumer.BOOK.tables:
        rows = consumer.extract(folder, table.name, FIRST, "2006-12", None)
        publish(consumer.BOOK, table.name, rows.rename_columns([column.name for column in table.columns]).drop_columns(
            [column.name for column in table.columns if column.personal]))
    labels = read_labels(consumer.BOOK, date(2006, 4, 1), 24).to_pylist()
    truth = {row["loan_id"]: row for row in world.to_pylist()}
    assert len(labels) == len(truth)
    for row in labels:
        true = truth[row["loan_id"]]
        ended = "bad" if true["default_after"] is not None else "good"
        assert row["label"] == ("unbooked" if true["booking_date"] is None else ended)
        assert not row["early"]
