"""Before a verb whose work another machine goes on with."""


def same_code() -> None:
    """What machines hand to one another is made by one code, and what lies in the store by one that this one reads."""
    from tollgate.deployment import check_code, note_format

    check_code()
    note_format()
