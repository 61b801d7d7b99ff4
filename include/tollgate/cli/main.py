"""The process around the door: whatever happens, one clear message and the documented exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback

from typer.exceptions import TyperException

from tollgate.cli.app import app_of
from tollgate.cli.parent import end_with_parent
from tollgate.errors import BadInput, PassingFault, TollgateError


def main() -> None:
    """Run the command line; a person sees one clear message, never a traceback unless they asked for it."""
    end_with_parent()
    code = _run()
    sys.stdout.flush()
    sys.stderr.flush()
    # Arrow's threads abort about one interpreter exit in ten after a lake was read, with the answer already printed.
    os._exit(code)


def _run() -> int:
    try:
        # --json and --debug belong before the verb; most people write them at the end.
        words = sorted(sys.argv[1:], key=lambda word: word not in ("--json", "--debug"))
        # Typer's own box around a wrong call ends in a line that says nothing.
        code = app_of(words)(words, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0 if done.code is None else 1
    except TyperException as wrong:
        verb = getattr(wrong, "ctx", None)
        return _failed(BadInput(wrong.format_message().rstrip(".?") or "Nothing was asked for",
                                remedy=f"See `{verb.command_path if verb else 'tollgate'} --help`."))
    except TollgateError as err:
        return _failed(err)
    except UnicodeEncodeError as err:
        if any(err.object in word for word in sys.argv):
            return _failed(BadInput("A text that was given is not in UTF-8", value=ascii(err.object),
                                    remedy="Write it so, or without the letters that the terminal writes otherwise."))
        return _fault(err)
    except OSError as err:
        if err.errno == errno.ENOSPC:
            return _failed(PassingFault("The disk is full", value=err.filename, remedy="Make room, then run it again."))
        return _fault(err)
    except Exception as err:
        return _fault(err)
    return 0


def _failed(err: TollgateError) -> int:
    if "--debug" in sys.argv:
        traceback.print_exc()
    print(f"error: {err}", file=sys.stderr)
    return err.exit_code


def _fault(err: Exception) -> int:
    if "--debug" in sys.argv:
        traceback.print_exc()
    print(f"error: {type(err).__name__}: {err}. This is a fault of Tollgate's; run it again with "
          "`tollgate --debug ...` and report what it shows.", file=sys.stderr)
    return 1
