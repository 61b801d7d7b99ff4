"""Whether a secret stands where somebody else may read it: a log, an XCom, an address, a list of processes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

SHORT = 6  # characters; what is shorter stands everywhere by chance


def leaks(secrets: list[str], texts: Iterable[tuple[str, str]]) -> list[str]:
    """Where which secret stands, in whichever form; the secret itself is not told again.

    Args:
        secrets: the values of .env.
        texts: (where, what stands there).

    Raises:
        ValueError: a secret is too short to be looked for.
    """
    if short := [number for number, secret in enumerate(secrets) if len(secret) < SHORT]:
        raise ValueError(f"secrets {short} are shorter than {SHORT} characters, and would be found everywhere")
    spellings = [(number, form) for number, secret in enumerate(secrets) for form in forms(secret)]
    return [f"{where}: secret {number}, as {kind}" for where, text in texts
            for number, (kind, form) in spellings if form in text]


def forms(secret: str) -> Iterator[tuple[str, str]]:
    """(kind, text) of every way to write a secret that is not encryption."""
    yield "it is", secret
    for kind, quoted in (("in an address", quote(secret, safe="")), ("in a form", quote_plus(secret))):
        if quoted != secret:
            yield kind, quoted
    # In Base64 a text looks different at each of three offsets; its first and last characters depend on its neighbours.
    for offset in range(3):
        coded = b64encode(b"\0" * offset + secret.encode()).decode().rstrip("=")
        yield "in Base64", coded[(offset * 8 + 5) // 6:-1]


def command_lines() -> Iterator[tuple[str, str]]:
    """(process, command line) of every process that can be seen from here, as anybody on the machine can."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "cmdline").read_bytes()
            except OSError:  # it has ended since
                continue
            yield f"process {entry.name}", told.replace(b"\0", b" ").decode(errors="replace")


def files(folder: Path, pattern: str = "**/*") -> Iterator[tuple[str, str]]:
    """(path, text) of every file below a folder: logs, mostly."""
    for path in sorted(folder.glob(pattern)):
        if path.is_file() and not path.is_symlink():
            yield str(path), path.read_text(encoding="utf-8", errors="replace")
