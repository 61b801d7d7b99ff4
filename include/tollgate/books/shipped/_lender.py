"""What a simulated lender does with its applications: who asks again, whom it declines, and when a loan is booked.

All of it is drawn beside the applications, from streams of its own, so that no other column depends on it.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from tollgate.books.description.tables import APPROVED, DECLINED, WITHDRAWN, Column
from tollgate.clock import months_before

POLICY = "scorecard-2003"
REPEATS = 0.25          # share of the applications that come from somebody who applied before
NOISE = 1.0             # of the policy's score, in log-odds
DECISION_DAYS = (1, 6)  # from the application, half open
BOOKING_DAYS = (2, 21)  # from the decision, half open
DECIDED = ("decision_date", "decision", "booking_date", "policy", "score", "approval_probability", "default_date",
           "reported_date")


def decision_columns(first: date, last: date) -> tuple[Column, ...]:
    """What the lender tells of a decision, beside the loan's number, with days between the first and the last."""
    why = "the lender's decision"
    return (
        Column(name="decided_on", source="decision_date", kind="date", doc="Day of the decision.", nullable=False,
               known="later", why=why, ge=first, le=last),
        Column(name="decision", source="decision", kind="text",
               doc="approved, declined, or withdrawn by the applicant.", nullable=False, known="later", why=why,
               isin=(APPROVED, DECLINED, WITHDRAWN)),
        Column(name="booked_on", source="booking_date", kind="date", doc="Day on which the loan was paid out.",
               known="later", why=why, ge=first, le=last),
        Column(name="policy", source="policy", kind="text", known="later", why=why,
               doc="The policy, or the version of the model, that decided."),
        Column(name="score", source="score", kind="number", doc="What it decided by: a probability of default, 0-1.",
               known="later", why=why, ge=0, le=1),
        Column(name="approval_probability", source="approval_probability", kind="number",
               doc="With which probability it approves such an application; 1 for sure.", known="later", why=why, ge=0,
               le=1),
    )


def applicants(rng: np.random.Generator, applied: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """Who asks: an id for each application, the same where somebody asks again.

    Args:
        applied: the day of each application, ``datetime64[D]``.
        alike: a text for each application; only those that share it may be of one person.
    """
    n = len(applied)
    again, pick = rng.random(n) < REPEATS, rng.random(n)
    root = np.arange(n)
    for kind in np.unique(alike):
        of_kind = np.flatnonzero(alike == kind)
        in_time = of_kind[np.argsort(applied[of_kind], kind="stable")]
        before = in_time[(pick[in_time] * np.arange(len(in_time))).astype(int)]
        root[in_time] = np.where(again[in_time], before, in_time)
    while not np.array_equal(root[root], root):
        root = root[root]
    return np.array([f"P{i:08d}" for i in root])


def log_odds(credit_score: np.ndarray, delinquencies: np.ndarray, debt_to_income: np.ndarray) -> np.ndarray:
    """The policy's own idea of the odds of default. It looks at three columns of the application and no more."""
    return -2.5 - (credit_score - 680) / 60 + 0.3 * delinquencies + 3 * (debt_to_income - 0.3)


def policy(rng: np.random.Generator, odds: np.ndarray, usual: np.ndarray, *, declined: float, explored: float,
           withdrawn: float) -> dict[str, pa.Array]:
    """What the policy holds of each application, and how long things take; no date, and no decision of anybody yet.

    Args:
        odds: ``log_odds`` of each application. usual: what they would be without a shift; the cutoff is set on them.
        declined: the share of the usual applications that is declined.
        explored: the share of those beyond the cutoff who are approved all the same, at random.
        withdrawn: the share of the approved who then do not take the loan.
    """
    n = len(odds)
    noise = rng.normal(0, NOISE, n)
    cutoff = np.quantile(usual + noise, 1 - min(1.0, declined / (1 - explored)))
    risky = odds + noise > cutoff
    return {
        "policy_approves": pa.array(~risky | (rng.random(n) < explored)),
        "policy_probability": pa.array(np.where(risky, explored, 1.0)),
        "policy_score": pa.array(np.round(1 / (1 + np.exp(-odds - noise)), 6)),
        "withdraws": pa.array(rng.random(n) < withdrawn),
        "decided_after": pa.array(rng.integers(*DECISION_DAYS, n)),
        "booked_after": pa.array(rng.integers(*BOOKING_DAYS, n)),
    }


def decide(rows: pa.Table, lag_days: int, scored: pa.Table | None = None) -> pa.Table:
    """The applications that are decided on, each with its decision and its dates, in order of ``loan_id``.

    The policy ends with the first night that has scores. Whoever applies from its as-of on is decided on by the first
    night that scored the loan, on the day of that as-of, and is not decided on until then. What a night refused to
    score falls back to the policy.

    Args:
        rows: applications with what ``policy`` gave, and ``default_after``: days from the booking, null for never.
            What an earlier call added to them is made anew.
        lag_days: from a default to its report.
        scored: the champion's published decisions (``loan_id``, ``as_of``, ``decision``, ``score``, ``model_version``).

    Returns the columns of ``rows`` and ``DECIDED``: ``booking_date`` is null unless the loan was booked, while
    ``default_date`` and ``reported_date`` are the truth of everybody: what a booking led, or would have led, to.
    """
    import duckdb

    nights = scored if scored is not None else _no_night()
    with duckdb.connect() as connection:
        connection.register("rows", rows.select([name for name in rows.column_names if name not in DECIDED]))
        connection.register("scored", nights)
        return connection.sql(f"""
            WITH nights AS (
                SELECT * FROM scored QUALIFY row_number() OVER (PARTITION BY loan_id ORDER BY as_of, model_version) = 1
            ), led AS (
                SELECT rows.*, night.as_of, night.score AS night_score, night.model_version,
                       night.decision IS NOT NULL AND night.decision <> 'refused' AS by_model,
                       CASE night.decision WHEN 'approve' THEN true WHEN 'decline' THEN false
                                           ELSE policy_approves END AS approves
                FROM rows LEFT JOIN nights AS night
                     ON rows.loan_id = night.loan_id AND application_date >= (SELECT min(as_of) FROM scored)
                WHERE night.as_of IS NOT NULL
                      OR application_date < coalesce((SELECT min(as_of) FROM scored), DATE '9999-12-31')
            ), decided AS (
                SELECT *, coalesce(as_of, (application_date + decided_after::INT)::DATE) AS decision_date,
                       CASE WHEN NOT approves THEN '{DECLINED}' WHEN withdraws THEN '{WITHDRAWN}' ELSE '{APPROVED}' END
                           AS decision,
                       (decision_date + booked_after::INT)::DATE AS could_book,
                       (could_book + default_after::INT)::DATE AS default_date
                FROM led
            )
            SELECT * EXCLUDE (as_of, night_score, model_version, by_model, approves, could_book, default_date),
                   CASE WHEN decision = '{APPROVED}' THEN could_book END AS booking_date,
                   CASE WHEN by_model THEN 'model v' || model_version ELSE '{POLICY}' END AS policy,
                   CASE WHEN by_model THEN night_score ELSE policy_score END AS score,
                   CASE WHEN by_model THEN approves::INT::DOUBLE ELSE policy_probability END AS approval_probability,
                   default_date, (default_date + {lag_days}::INT)::DATE AS reported_date
            FROM decided ORDER BY loan_id
        """).to_arrow_table()


def sent(rows: pa.Table, columns: list[str], days: tuple[str, ...], key: str, first_month: str,
         last_month: str) -> pa.Table:
    """The rows of which one of ``days`` lies within the months, in order of the first and of ``key``.

    A booking of a later month is not yet known: its ``booking_date`` is null.
    """
    import duckdb

    first, last = date.fromisoformat(f"{first_month}-01"), months_before(date.fromisoformat(f"{last_month}-01"), -1)
    within = " OR ".join(f"({day} >= DATE '{first}' AND {day} < DATE '{last}')" for day in days)
    chosen = ", ".join(f"CASE WHEN {name} < DATE '{last}' THEN {name} END AS {name}" if name == "booking_date" else name
                       for name in columns)
    with duckdb.connect() as connection:
        connection.register("source", rows)
        return connection.sql(f"SELECT {chosen} FROM source WHERE {within} ORDER BY source.{days[0]}, {key}"
                              ).to_arrow_table()


def _no_night() -> pa.Table:
    return pa.schema([("loan_id", pa.string()), ("as_of", pa.date32()), ("decision", pa.string()),
                      ("score", pa.float64()), ("model_version", pa.string())]).empty_table()
