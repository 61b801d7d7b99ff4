"""What declined_reasons.py writes above its loans, and what a person found when checking them, by loan number."""

INTRODUCTION = """\
# Reasons

<!-- Written by benchmarks/declined_reasons.py. -->

A declined loan is told up to four reasons (`scoring.reasons` in [params.yaml](params.md)), the number that the official
interpretations of Regulation B advise against exceeding (12 CFR 1002.9(b)(2)). They are the features that raised its
score most: the largest positive Shapley values of the very model that scored it, in log-odds, against what each feature
adds on average over the training rows. Of the ways of choosing reasons that the interpretations describe, it is the one
that compares an applicant with the average of all.

    tollgate explain BOOK LOAN                   # all contributions, signed; what they add up to; the reasons in words
    tollgate explain BOOK LOAN --night 2007-01-01 --out loan.html     # of that night, as a page with a picture

`explain` scores the loan again from the rows that its night pinned, with the model that the night pinned. Where that
does not give the published score to the last bit, it refuses: it would explain something else.

## The words

A feature's words stand beside it in its book, and no model depends on them: models in service, their digests and their
golden rows stay as they are. A training run that is open notices that its book was edited, as after any edit.

```python
number("employment_years", reason=Reason(
    "Length of employment",                         # what it measures; everything left out is made of it
    high="Length of employment is long", low="Length of employment is short",
    missing="Length of employment is not known"))
category("home_ownership", reason=Reason("Home ownership", value="The home is {value}", words={"rent": "rented"}))
```

- **High and low** are above and below the median of the model's reference rows. A value that is the median is neither,
  and only named ("Number of employees"), unless nobody is lower or nobody is higher.
- **A direction** binds the words as it binds the model. A feature of which more can only raise the risk is never said
  to be too low. Its contribution never falls as its value grows and is at most 0 at the lowest value, so that it is no
  reason there. It can be one below the middle all the same, where all but the lowest values are alike: then it is
  named, and not said to be high.
- **Features that read the same** (six statements of one card) give one reason, the largest of them; the next moves up.
- **Ties** go by the feature's name. What only the rounding of sums tells apart is a tie: contributions are compared in
  millionths.
- **Nothing written**: "Annual income is low", "Purpose: car", "Employment years is not known". `tollgate book check`
  names words that are empty, or that are of the other kind of feature, or that the direction never lets be said. The
  page of each book lists all of them, such as [that of consumer](books/consumer.md#reasons).

A reason says why the *model* raised the score, and claims no cause. Where a feature means nothing, as the state in the
simulated book, a model may have learned something from chance, and says so: that is for the gates to find.

## What would have been approved

    tollgate explain BOOK LOAN --what-would-change

A book marks what an applicant chooses (`Column(..., actionable="lower")`; `raise`, `either`). Each such column alone is
set to every value that the model's golden rows hold on that side, all features are made again, and the model scores
them: told is the nearest value that is approved, nearness counted by the training loans in between. Only where no one
column does it, pairs are tried, 60 values of each. Never tried are values that no golden row has, that the column may
not be, or that break a rule between columns; nor is a value told that a night would refuse. It is an answer of this
model, not a promise: the next application is scored by the next model.

## Ten declined loans

One loan of each fifth of the declined, by loan number, of two models as of 2007-01-01 and the month before it. Made by

    python -m benchmarks.declined_reasons docs

and checked by hand: each sentence was held against the loan's own value and the middle of the training rows, and each
list against the whole column of contributions, for a larger one that was left out.
"""

CHECKED: dict[str, str] = {
    "C00094190":
        "67 cents of each dollar of income go into debts, where the middle applicant spends 27: high. Medical expenses "
        "are the purpose that the application names. One delinquency, where most have none: too many. "
        "Only these three raised the score, so that there is no fourth; score, income and amount lowered it, "
        "and none of them is named.",
    "C00094603":
        "A score of 586 lies far below 698: too low. The state is California. Only these two raised the score: the "
        "missing debt ratio lowered it and is not named. The state has no part in the simulated truth (its +0.106 is "
        "what this fit learned from chance), and the list says what the model did.",
    "C00094956":
        "A score of 611 against 698: too low. Half of the income goes into debts, against 27 %: high. One delinquency "
        "against none. Three years with the employer against five: short. The fifth, the state with +0.022, is left "
        "out as the least. 12,800 is more than the middle amount and yet lowered the risk a little in this model, so "
        "that it is rightly no reason.",
    "C00095358":
        "An income of 20,800 against 54,500: too low. Debts take 39 % against 27 %: high. The loan is 44 % of a year's "
        "income against 18 %: the income is insufficient for it. The home is rented. The score of 683 is below the "
        "middle too and yet lowered the risk: below the middle is not bad enough here, and it is rightly no reason.",
    "C00095779":
        "The home is rented. One delinquency against none. 19,500 asked for against 9,900: too high. That is 39 % of a "
        "year's income against 18 %: insufficient. The other purpose (+0.054) is the fifth. The debt ratio of 17 % is "
        "low and lowered the risk, and is not named.",
    "2159975001":
        "25,300 dollars against 70,000: low. Four employees are "
        "exactly the middle, and so only named, neither few nor many. Code 44 is retail trade. `N` is no revolving "
        "line. A rural place lowered the risk by more than any of them and is not named.",
    "2172295003":
        "Code 42 is wholesale trade. 35,000 dollars against 70,000: low. New York. No revolving line. Three employees "
        "(+0.022) are the fifth.",
    "2184965000":
        "Texas. 25,000 dollars against 70,000: low. Code 44 is retail trade. Only these three raised the score: that "
        "the business is new lowered it a little, and is not named. No franchise adds +0.000, which is less than a "
        "millionth, and is no reason.",
    "2197335009":
        "25,000 dollars against 70,000: low. Code 42 is wholesale trade. Half of the loan is guaranteed, exactly the "
        "middle, and so only named. No revolving line. California (+0.023) is the fifth.",
    "2591426006":
        "Florida. 50,000 dollars against 70,000: low. Code 44 is retail trade. Three employees against four: fewer "
        "than most. A rural place lowered the risk and is not named.",
}
