"""What the lender's name of a column, or the look of its cells, says about it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

TAKEN = {"month", "known_on", "delivery", "version", "line", "loan_id", "applicant_id", "applied_on", "label", "split",
         "weight", "score", "approval_probability"}  # names that the lake or a run gives to columns of its own

PERSONAL = (
    ("a name", r"(first|last|full|given|family|middle|maiden|customer|client|borrower|applicant|owner|contact|person)_?"
               r"(s_)?name|^name$|surname|forename|^(co_?)?(borrower|applicant|owner)$|nachname|vorname"),
    ("an e-mail address", r"e_?mail"),
    ("a telephone number", r"phone|mobile|^tel(_|$)|(^|_)fax"),
    ("an address", r"(^|_)(address|street|strasse|addr)(_?\d|_line|_1|_2)?$|house_(no|number)"),
    ("a postal code", r"(^|_)(zip|zip_?code|post_?code|postal|postal_code|plz)(_|$)"),
    ("a number of a person", r"(^|_)(ssn|social_security|sin|nino|passport|tax_id|national_id|driver|licen[cs]e)(_|$)"),
    ("a bank account or card", r"(^|_)(iban|bic|card_(no|num|number)|bank_account|account_(no|number))(_|$)"),
    ("a date of birth", r"(^|_)(birth_?(date|day|d)|date_of_birth|dob|born_on|birthday|geburtsdatum)(_|$)"),
    ("free text", r"(^|_)(desc|description|comment|comments|note|notes|remark|remarks|memo|title|emp_title|employer|"
                  r"occupation_text|reason_text)$"),
)
CONTENT = (
    ("an e-mail address", r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    ("a number of a person", r"\d{3}-\d{2}-\d{4}"),
    ("a telephone number", r"\+\d{1,3}[\d ()./-]{6,16}|\(?\d{3,5}\)?[ ./-]\d{3,4}([ .-]\d{3,4})?"),
    ("a bank account or card", r"[A-Z]{2}\d{2}[ ]?([A-Z0-9]{4}[ ]?){3,7}[A-Z0-9]{0,4}"),
    ("a postal code", r"\d{3}xx"),
    ("an address", r"\d+[a-z]? ([\w.']+ ){1,4}(st|street|ave|avenue|rd|road|lane|ln|dr|drive|blvd|way|court|ct)\.?"),
)
PROTECTED = (
    ("sex", r"(^|_)(sex|gender|geschlecht)(_|$)"),
    ("age", r"(^|_)(age|age_(band|group|range|years)|birth_?year|year_of_birth|yob|born|alter)(_|$)"),
    ("race or origin", r"(^|_)(race|ethnic|ethnicity|origin|nationality|citizenship)(_|$)"),
    ("marital status", r"marital|married|familienstand|civil_status"),
    ("religion", r"religion"),
    ("disability or health", r"disab|pregnan"),
    ("receipt of public assistance", r"public_assistance"),
)
NO_AGE = re.compile(r"(^|_)(mortgage|usage|average|percentage|stage|age_of|loan_age|account_age"
                    r"|age_(months|account|oldest))")
SEXES = ({"m", "f"}, {"male", "female"}, {"m", "f", "x"}, {"male", "female", "other"})
LATER = re.compile(
    r"recover|pymnt|(^|_)payments?(_|$)|total_rec|out_prncp|outstanding|^last_|^next_|settle|hardship|charge_?off|chg_?off"
    r"|write_?off|written_off|collection_(rec|fee)|(^|_)arrears|past_due|(^|_)dpd|late_fee|^paid_|_paid$|default|gross_?bal"
    r"|balance_?gross|chargeoff")
KEY = ((3, re.compile(r"^(loan_?(id|no|nr|num|number|key|ref)|loannr.*|loan_nr.*|id|application_?(id|no|number)"
                      r"|contract_?(id|no|number)|agreement_?(id|no|number)|account_?id|kreditnummer|vertragsnummer)$")),
       (2, re.compile(r"loan.*(id|no|nr|number)|kredit.*nr")),
       (1, re.compile(r"(^|_)(id|no|nr|num|number|key|ref|nummer)$")))
APPLICANT = re.compile(r"(member|customer|client|borrower|applicant|person|kunden?)_?(id|no|nr|num|number|key|nummer)$")
APPLIED = ((4, re.compile(r"appl|request|antrag")),
           (3, re.compile(r"issue|orig|open|approv|book|start|disburs|fund|grant|contract|sign|vertrag|auszahl")),
           (1, re.compile(r"date|day|month|datum|_d$|_dt$|_on$")))
NOT_APPLIED = re.compile(
    r"birth|born|dob|^last|next|(^|_)end|matur|clos|paid|pymnt|payment|due|earliest|charge|chg|default|report|status|pull")
ENDED = ((5, re.compile(r"charge_?off|chg_?off|default|write_?off|ausfall")), (4, re.compile(r"status|event")),
         (3, re.compile(r"last_(pay|pymnt)|letzte")), (2, re.compile(r"clos|end|settle|report|updat|as_of|known")))
NOT_ENDED = re.compile(r"birth|born|dob|next|earliest|matur|due")
BAD = re.compile(r"charged?[ _-]?off|chg[ _-]?off|default|wr(ite|itten)[ _-]?(off|down)|\bbad\b|foreclos|bankrupt"
                 r"|\bloss\b|ausgefallen|ausfall|uneinbringlich", re.IGNORECASE)
NOT_BAD = re.compile(r"\b(no|not|non|never)\b[ _-]?", re.IGNORECASE)
GOOD = re.compile(r"paid|closed|p ?i ?f\b|settled|repaid|good|perform|complete|non.?default|getilgt|bezahlt",
                  re.IGNORECASE)
OPEN = re.compile(r"current|late|grace|active|open|arrear|delinq|laufend", re.IGNORECASE)
FLAG = re.compile(r"(^|_)(default|defaulted|is_bad|bad|bad_flag|target|label|charged_?off|chargeoff|loan_default)"
                  r"(_|$|ed$)")
POSITIVE = ("1", "Y", "y", "Yes", "yes", "YES", "true", "True", "TRUE", "T")


def snake_case(name: str) -> str:
    """The lender's name in small letters, digits and _, a letter first: ``MIS_Status`` is ``mis_status``."""
    text = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text)
    text = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "unnamed"
    return text if text[0].isalpha() else f"c_{text}"


def own_names(names: Iterable[str]) -> dict[str, str]:
    """A name of our own for each of the lender's, all different and none that Tollgate gives to columns itself."""
    found: dict[str, str] = {}
    for name in names:
        base = own = snake_case(name)
        if own in TAKEN:
            base = own = f"lender_{own}"
        number = 2
        while own in found.values():
            own, number = f"{base}_{number}", number + 1
        found[name] = own
    return found


def first_of(patterns: Iterable[tuple[str, str]], text: str) -> str | None:
    """What the first pattern that is found in the text stands for."""
    return next((what for what, pattern in patterns if re.search(pattern, text)), None)


def rank(patterns: Iterable[tuple[int, re.Pattern[str]]], text: str) -> int:
    """The number of the first pattern that is found in the text, 0 where none is."""
    return next((points for points, pattern in patterns if pattern.search(text)), 0)
