"""Applicants who come back over the years, what a bureau tells of them, and how they pay each instalment.

Behind everything that an applicant does stands one number that nobody sees: their creditworthiness, which moves slowly.
What became of earlier loans and what the bureau reports are its traces, so that histories tell more of a loan than its
application does. All of it is drawn from streams of their own: one part's draws change no other part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

PURPOSES = ("car", "debt_consolidation", "education", "furniture", "home_improvement", "medical")
SEXES = ("female", "male")
AGES = ("18-29", "30-44", "45-59", "60+")
KINDS = ("auto", "card", "instalment", "mortgage")
TERMS = (12, 24, 36, 48, 60)  # months
OPEN, CLOSED = "open", "closed"

RETURNING = 0.5          # the largest share of a month's applications that comes from earlier applicants
RETURNS_A_MONTH = 0.04   # the largest share of the earlier applicants who come back in a month
GAP_MONTHS = 3           # between two applications of one applicant: the bureau's reports on them lie apart
MEMORY = 0.985           # of creditworthiness from one month to the next: half of it is left after four years
NEW_JOB = 0.2            # share of the returning who have changed their employer
REPORT_DAYS = (1, 21)    # from the bureau's report to the application, half open
YEARLY_RATE = 0.12       # of interest
HORIZON_MONTHS = 24      # after its booking within which a default happens
UNPAID_AT_DEFAULT, UNPAID_AT_END = 4, 6  # instalments: from the fourth on the oldest is more than 90 days late
CLOSING_DAYS = (2, 7)    # from the end of a month until its payments are reported, half open
INCOME_MISSING = 0.02    # share of the applications


@dataclass(frozen=True)
class _Asked:
    """Who asks when: one value an application, by day.

    Attributes:
        month: int64, from the first month on. day: datetime64[D]. who: the applicant, int64 from 0 on.
        employed_since: datetime64[D].
    """

    month: np.ndarray
    day: np.ndarray
    who: np.ndarray
    employed_since: np.ndarray


def simulate_histories(rng: np.random.Generator, first_month: str, last_month: str,
                       rows_a_month: int) -> tuple[pa.Table, pa.Table]:
    """Applications with their truth, and the bureau's reports on them.

    Beside what the lender is told of an application the first table has ``creditworthiness`` (of the day, mean 0 and
    deviation 1), ``true_probability`` of a default within the horizon, ``default_month`` (the instalment at which it
    would be in default, null for never) and ``unpaid``: how many instalments are unpaid at the end of each month in
    which the loan is open, should it be booked; a list of int8, the first instalment first.
    """
    of_asking, of_people, of_loans, of_bureau, of_payments = rng.spawn(5)
    asked = _asking(of_asking, first_month, last_month, rows_a_month)
    n, people = len(asked.day), int(asked.who.max()) + 1
    months = int(asked.month.max()) + max(TERMS) + 1
    standing = _creditworthiness(of_people, people, months)
    at_first = standing[:, 0]
    now = standing[asked.who, asked.month]
    yearly = np.exp(10.5 + 0.2 * at_first + of_people.normal(0, 0.4, people))
    income = np.clip(np.round(yearly[asked.who] * np.exp(of_loans.normal(0.0, 0.05, n)), -2), 8_000, 2_000_000)
    amount = np.clip(np.round(of_loans.lognormal(9.0, 0.65, n), -2), 500, 100_000)
    term = of_loans.choice(TERMS, n, p=(0.25, 0.30, 0.25, 0.12, 0.08))
    purpose = of_loans.choice(PURPOSES, n, p=(0.25, 0.30, 0.08, 0.12, 0.15, 0.10))
    instalment = _annuity(amount, term)
    probability = _probability(now, instalment / (income / 12), term, _years(asked.employed_since, asked.day), purpose)
    default_month = _default_months(of_loans, probability, term)
    missing = of_loans.random(n) < INCOME_MISSING
    sex, age = of_people.choice(SEXES, people), of_people.choice(AGES, people, p=(0.2, 0.35, 0.3, 0.15))
    applicant = np.char.add("P", np.char.zfill(asked.who.astype(str), 8))
    applications = pa.table({
        "loan_id": [f"I{i:08d}" for i in range(n)],
        "application_date": pa.array(asked.day),
        "customer_id": pa.array(applicant),
        "customer_name": pa.array(np.char.add("Customer ", asked.who.astype(str))),
        "amount_requested": pa.array(amount),
        "term": pa.array(term),
        "yearly_income": pa.array(income, mask=missing),
        "employed_since": pa.array(asked.employed_since),
        "loan_purpose": pa.array(purpose),
        "sex": pa.array(sex[asked.who]), "age_band": pa.array(age[asked.who]),
        "instalment": pa.array(instalment),
        "creditworthiness": pa.array(now),
        "true_probability": pa.array(probability),
        "default_month": pa.array(default_month, mask=default_month == 0),
        "unpaid": _unpaid(of_payments, standing, asked, term, default_month),
        "reported_after": pa.array(of_payments.integers(*CLOSING_DAYS, n)),
        "default_after": pa.nulls(n, pa.int64()),  # the payments tell it
    })
    return applications, _bureau(of_bureau, asked, applicant, standing)


def monthly_payments(loans: pa.Table) -> pa.Table:
    """One row for each month in which a loan is open, from the month after its booking to its last.

    Args:
        loans: of ``simulate_histories``, all of them booked, with ``booking_date``.

    An instalment falls due on the day of the month on which the loan was booked, the 27th at the latest, so that one
    that is not paid is late when its month ends. A row says how the loan stood then, and is reported a few days later.
    """
    booked = loans["booking_date"].to_numpy().astype("datetime64[D]")
    begun = booked.astype("datetime64[M]")
    due_day = np.minimum((booked - begun.astype("datetime64[D]")).astype(int), 26)
    unpaid_lists = loans["unpaid"].combine_chunks()
    lengths = unpaid_lists.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    unpaid = unpaid_lists.flatten().to_numpy().astype(np.int64)
    loan = np.repeat(np.arange(len(lengths)), lengths)
    number = np.arange(len(loan)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    month = begun[loan] + number
    ends = (month + 1).astype("datetime64[D]") - 1
    oldest = (month - unpaid + 1).astype("datetime64[D]") + due_day[loan]
    before = np.where(number == 1, 0, np.roll(unpaid, 1))
    instalment = loans["instalment"].to_numpy()[loan]
    last = number == lengths[loan]
    status = np.where(~last, OPEN, np.where(unpaid > 0, "written_off", "repaid"))
    return pa.table({
        "loan_id": loans["loan_id"].combine_chunks().take(pa.array(loan)),
        "customer_id": loans["customer_id"].combine_chunks().take(pa.array(loan)),
        "due_date": pa.array(month.astype("datetime64[D]") + due_day[loan]),
        "report_date": pa.array(ends + loans["reported_after"].to_numpy()[loan]),
        "amount_due": pa.array(instalment),
        "amount_paid": pa.array(np.round(instalment * (1 + before - unpaid), 2)),
        "days_past_due": pa.array(np.where(unpaid > 0, (ends - oldest).astype(np.int64), 0)),
        "loan_status": pa.array(status),
    })


def _asking(rng: np.random.Generator, first_month: str, last_month: str, rows_a_month: int) -> _Asked:
    """Who asks in each month: partly people who asked before, at least ``GAP_MONTHS`` ago, at random."""
    months = np.arange(np.datetime64(first_month), np.datetime64(last_month) + 1)
    last = np.full(len(months) * rows_a_month, -1)     # the month in which each applicant last asked
    since = np.empty(len(last), "datetime64[D]")       # when each began with their employer
    people, parts = 0, []
    for place, month in enumerate(months):
        eligible = np.flatnonzero(last[:people] <= place - GAP_MONTHS)
        again = min(int(RETURNING * rows_a_month), int(RETURNS_A_MONTH * len(eligible)))
        fresh = np.arange(people, people + rows_a_month - again)
        who = np.concatenate([rng.choice(eligible, again, replace=False), fresh]) if again else fresh
        begin = month.astype("datetime64[D]")
        length = int(((month + 1).astype("datetime64[D]") - begin).astype(int))
        day = begin + rng.integers(0, length, rows_a_month)
        years, lately = rng.gamma(2.0, 3.0, rows_a_month), rng.random(rows_a_month) < NEW_JOB
        job = day - (np.minimum(years, 45) * 365).astype(int)
        fitting = day - rng.integers(0, 60, rows_a_month)  # begun after the application before
        since[who] = np.where(who >= people, job, np.where(lately, fitting, since[who]))
        last[who] = place
        people += rows_a_month - again
        order = np.lexsort((who, day))
        parts.append((np.full(rows_a_month, place), day[order], who[order], since[who][order]))
    return _Asked(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _creditworthiness(rng: np.random.Generator, people: int, months: int) -> np.ndarray:
    """That of each applicant in each month: a slow walk back to 0, of deviation 1; float32 (people, months)."""
    moves = rng.standard_normal((months, people), np.float32)
    for month in range(1, months):
        moves[month] = MEMORY * moves[month - 1] + np.sqrt(1 - MEMORY ** 2) * moves[month]
    return moves.T


def _annuity(amount: np.ndarray, term: np.ndarray) -> np.ndarray:
    """The monthly instalment, to the cent."""
    rate = YEARLY_RATE / 12
    return np.round(amount * rate / (1 - (1 + rate) ** -term.astype(float)), 2)


def _years(since: np.ndarray, day: np.ndarray) -> np.ndarray:
    return (day - since).astype(int) / 365.25


def _probability(standing: np.ndarray, burden: np.ndarray, term: np.ndarray, employed: np.ndarray,
                 purpose: np.ndarray) -> np.ndarray:
    """The probability of a default within the horizon: of what the application says, and of what nobody sees."""
    logit = (-4.4 - 2.0 * standing + 1.3 * (np.log(burden) + 2.3) + 0.02 * (term - 28)
             - 0.15 * (np.minimum(employed, 15) - 5.5) + 1.2 * (purpose == "medical")
             + 0.6 * (purpose == "debt_consolidation") - 0.6 * (purpose == "home_improvement"))
    return 1 / (1 + np.exp(-logit.astype(np.float64)))


def _default_months(rng: np.random.Generator, probability: np.ndarray, term: np.ndarray) -> np.ndarray:
    """The instalment at which each loan is in default, 0 for never; early enough to be written off within the term."""
    latest = np.minimum(term - (UNPAID_AT_END - UNPAID_AT_DEFAULT), HORIZON_MONTHS)
    when = rng.integers(UNPAID_AT_DEFAULT, latest + 1)
    return np.where(rng.random(len(term)) < probability, when, 0)


def _unpaid(rng: np.random.Generator, standing: np.ndarray, asked: _Asked, term: np.ndarray,
            default_month: np.ndarray) -> pa.Array:
    """How many instalments are unpaid at the end of each month: lists of int8, one a loan.

    Whoever does not default may miss an instalment, sometimes two, and then pays all of them.
    """
    n, longest = len(term), max(TERMS)
    grid, owed = np.zeros((n, longest), np.int8), np.zeros(n, np.int64)
    lasts = np.where(default_month > 0, default_month + UNPAID_AT_END - UNPAID_AT_DEFAULT, term)
    for number in range(1, longest + 1):
        rate = 1 / (1 + np.exp(3.1 + 1.3 * standing[asked.who, asked.month + number]))
        draw = rng.random(n)
        owed = np.where(owed == 0, draw < rate, np.where((owed == 1) & (draw < 0.15 + rate), 2, 0))
        owed = np.where(number == term, 0, owed)
        to_default = number - default_month + UNPAID_AT_DEFAULT
        owed = np.where((default_month > 0) & (to_default > 0), np.minimum(to_default, UNPAID_AT_END), owed)
        grid[:, number - 1] = owed
    kept = np.arange(longest) < lasts[:, None]
    offsets = np.concatenate([[0], np.cumsum(lasts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(grid[kept]))


def _bureau(rng: np.random.Generator, asked: _Asked, applicant: np.ndarray, standing: np.ndarray) -> pa.Table:
    """The bureau's reports: some days before an application, every line that the applicant has or had."""
    people = len(standing)
    first_day = np.full(people, np.datetime64("9999-12-31"))
    np.minimum.at(first_day, asked.who, asked.day)
    counts = np.minimum(rng.poisson(5.6, people), 15)
    owner = np.repeat(np.arange(people), counts)
    lines = len(owner)
    kind = rng.choice(len(KINDS), lines, p=(0.2, 0.5, 0.2, 0.1))
    # Most are older than the first application; some are opened in the years after it.
    opened = first_day[owner] - (rng.gamma(1.6, 1_100, lines) - 500).astype(int)
    lifetime = np.where(kind == 1, 9_000, rng.integers(700, 3_600, lines))
    limit = np.round(rng.lognormal(np.array((9.4, 8.4, 8.6, 11.6))[kind], 0.5), -2)

    ask = np.repeat(np.arange(len(asked.who)), counts[asked.who])
    begin = (np.cumsum(counts) - counts)[asked.who]
    within = np.arange(len(ask)) - np.repeat(np.cumsum(counts[asked.who]) - counts[asked.who], counts[asked.who])
    line = begin[ask] + within
    told = (asked.day - rng.integers(*REPORT_DAYS, len(asked.day)))[ask]
    seen = opened[line] <= told
    ask, line, told = ask[seen], line[seen], told[seen]

    n, now = len(line), standing[asked.who[ask], asked.month[ask]]
    age = (told - opened[line]).astype(int)
    is_open = age < lifetime[line]
    drawn = 1 / (1 + np.exp(0.3 + 1.3 * now - rng.normal(0, 1.0, n)))
    share = np.where(kind[line] == 1, drawn, 1 - age / lifetime[line])
    late = rng.random(n) < 1 / (1 + np.exp(3.2 + 1.5 * now))
    days = late * (rng.geometric(0.45, n).clip(1, 6) * 30 - rng.integers(0, 29, n))
    return pa.table({
        "line_no": pa.array(np.char.add("B", np.char.zfill(line.astype(str), 8))),
        "customer_id": pa.array(applicant[ask]),
        "report_date": pa.array(told),
        "line_kind": pa.array(np.array(KINDS)[kind[line]]),
        "opened": pa.array(opened[line]),
        "credit_limit": pa.array(limit[line]),
        "balance": pa.array(np.where(is_open, np.round(limit[line] * share, 2), 0.0)),
        "days_past_due": pa.array(np.where(is_open, days, 0).astype(np.int64)),
        "line_status": pa.array(np.where(is_open, OPEN, CLOSED)),
    })
