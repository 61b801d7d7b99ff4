"""Around a verb whose work another machine goes on with."""


def same_code() -> None:
    """What machines hand to one another is made by one code, and what lies in the store by one that this one reads."""
    from tollgate.deployment import check_code, check_format

    check_code()
    check_format()


def note_format(_answer: None, **_options: object) -> None:
    """Once a verb has succeeded, the store tells its format: one that was refused has made no store."""
    from tollgate.deployment import note_format

    note_format()
