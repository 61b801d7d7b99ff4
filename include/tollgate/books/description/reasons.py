"""What an applicant is told of a feature that raised the risk of a loan that was declined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tollgate.books.description.features import Feature

VALUE = "{value}"  # where a category's sentence holds the level


@dataclass(frozen=True)
class Reason:
    """A feature in the words of a notice of adverse action (Regulation B, 12 CFR 1002.9(b)(2)): specific and short.

    Each part that is left out is made of ``what``, and that of the feature's name.

    Attributes:
        what: what the feature measures, a noun phrase with a capital: "Length of employment". It is itself the sentence
            where the value is neither high nor low. Features of which it is the same give one reason, not two.
        high, low: the sentence of a number above and below the middle of the training rows: "Debt is high in proportion
            to income". A feature with a direction has one of them alone, and it should be true of every value that
            could be better: "Credit score is too low".
        missing: the sentence of a value that is not known.
        value: the sentence of a category, in which ``{value}`` stands for its level.
        words: how a level reads there, where not as it is: {"rent": "rented"}.
    """

    what: str | None = None
    high: str | None = None
    low: str | None = None
    missing: str | None = None
    value: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)


PLAIN = Reason()  # said by the feature's name alone


def subject_of(feature: Feature) -> str:
    """What a feature measures, in its book's words; its name in plain letters where the book says nothing."""
    return feature.reason.what or feature.name.replace("_", " ").capitalize()


def sentence_of(feature: Feature, value: float | str | None, side: int) -> str:
    """Why a feature raised a loan's risk, a sentence without its full stop.

    A number that may only raise the risk as it grows (``monotone`` +1) is never said to be low, and one that may only
    lower it never to be high. Nor is it said to be what it is not: a value on the other side of the middle can have
    raised the risk too (see ``tollgate.scoring.reasons``), and is then told by what it measures alone.

    Args:
        value: of the loan, None where it is missing.
        side: of a number, on which side of the middle of the training rows the value lies: -1 below, +1 above, 0 on it.
    """
    told, what = feature.reason, subject_of(feature)
    if value is None:
        return told.missing or f"{what} is not known"
    if feature.kind == "category":
        return (told.value or f"{what}: {VALUE}").replace(VALUE, told.words.get(str(value), str(value)))
    if side == 0 or side == -feature.monotone:
        return what
    much = "too " if feature.monotone else ""
    return (told.high or f"{what} is {much}high") if side > 0 else (told.low or f"{what} is {much}low")
