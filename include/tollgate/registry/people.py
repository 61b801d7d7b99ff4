"""Who decided: the name that was given, and the login under which the command ran."""

from __future__ import annotations

import os
import pwd

from tollgate.config import settings
from tollgate.errors import BadInput, Refused
from tollgate.registry.entries import Entry


def login() -> str:
    """The login of this process as the system knows it, whatever the environment says; through sudo, the caller's."""
    user = os.getuid()
    if user == 0 and os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # as in a container that knows no names
        return f"user {user}"


def signed_by(by: str | None) -> dict[str, str]:
    """``{"by"}``, the login when no name is given; with ``"login"`` where another name is.

    Raises:
        BadInput: the name is empty.
    """
    own = login()
    if by is not None and not by.strip():
        raise BadInput("A decision needs the name of who made it", value=repr(by),
                       remedy="Pass --by, or leave it out: then it is your login.")
    return {"by": own} if by in (None, own) else {"by": str(by), "login": own}


def trained_by() -> str:
    """Who asked for the training of this run: told where Airflow runs it, else the login."""
    return settings().trained_by or login()


def check_four_eyes(registration: Entry, signed: dict[str, str]) -> None:
    """Raise ``Refused`` where four eyes are asked for and whoever decides is who had the model trained, or may be.

    ``BadInput`` where it is not clear whether they are.
    """
    asked = settings().four_eyes
    if asked not in ("on", "off"):
        raise BadInput("TOLLGATE_FOUR_EYES is on or off", value=asked, remedy="Correct it, or unset it, which is off.")
    if asked == "off":
        return
    trainer = registration.payload.get("trained_by")
    if trainer is None:
        raise Refused("Four eyes are asked for, and the registration does not tell who had the model trained",
                      value=f"ledger line {registration.seq}", remedy="Train it again, and approve that.")
    if _same(trainer) in {_same(name) for name in (signed["by"], signed.get("login", signed["by"]))}:
        raise Refused("Four eyes are asked for: whoever had a model trained does not approve it", value=trainer,
                      remedy="Let somebody else look at its gate report and decide.")


def _same(name: str) -> str:
    return name.strip().casefold()
