"""Before a verb whose work another machine goes on with."""


def same_code() -> None:
    """What machines hand to one another is made by one code."""
    from tollgate.deployment import check_code

    check_code()
