"""A backup of what cannot be made again, and its restoration into an empty deployment.

What MLflow keeps in its database and what the lake and the store hold speak of each other, so that nothing may be
written while the parts are copied; a backup in which something changed meanwhile is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tollgate import deployment, lake, registry, services
from tollgate.config import EMBEDDED, Settings, check_book, settings
from tollgate.errors import BadInput, PassingFault

RECORD, DUMP = "backup.json", "mlflow.dump"
FORMAT = 1
Say = Callable[[str], None]


def backup(folder: Path, say: Say = lambda _: None) -> dict[str, Any]:
    """Copy every location, the key that signs decisions and MLflow's database into a folder that is not there yet.

    Args:
        folder: on a disk that the deployment's loss leaves alone; readable by its owner alone, as the key must be.
        say: is told of each part when it is copied.

    Returns ``{"backup", "files", "bytes", "elsewhere": [what is to be backed up by other means]}``.

    Raises:
        BadInput: there is something in the folder, or it cannot be made, or lies in what is copied.
        PassingFault: something was written meanwhile, or did not answer.
    """
    here = settings()
    places, elsewhere = _places(here), list[str]()
    _make(folder, places)
    before = {name: _listing(place) for name, place in places.items()}
    database, held = registry.address(), list[str]()
    if database.startswith("postgresql"):
        held = registry.runs_and_versions(database)
        services.dump_database(database, folder / DUMP)
    else:
        elsewhere.append(f"the database of the MLflow server {database}")
    if "keys" not in places:
        elsewhere.append(f"the key of the ledger, {here.ledger_key}")
    files: dict[str, dict[str, Any]] = {}
    for name, place in places.items():
        try:
            lake.Store(place).copy_to(folder / name, sorted(before[name]))
        except BadInput:  # of a file that was taken away meanwhile
            _check_unchanged(places, before, folder)
            raise
        files[name] = {path: {"size": (copy := folder / name / path).stat().st_size, "sha256": _digest(copy)}
                       for path in sorted(before[name])}
        say(f"{name}: {len(files[name]):,} files, {_size(files[name]):,} bytes")
    _check_unchanged(places, before, folder)
    lake.Store(str(folder)).write_json(RECORD, {
        "format": FORMAT, "artifacts": here.mlflow_artifacts, "places": files, "elsewhere": elsewhere,
        "dump": _digest(folder / DUMP) if (folder / DUMP).exists() else None, "held": held})
    return {"backup": str(folder), "files": sum(map(len, files.values())),
            "bytes": sum(map(_size, files.values())), "elsewhere": elsewhere}


def restore(folder: Path, say: Say = lambda _: None) -> dict[str, Any]:
    """Bring a backup back, and prove that it works: every ledger holds, and each champion gives its last scores again.

    A restoration that was cut off is begun again by the same command. Nothing that the backup does not know is
    written over: a location in which something else lies is refused before anything is touched.

    Returns ``{"restored", "files", "elsewhere", "ledgers": {book: entries}, "proved": [{"book", "version", "source",
    "rows"}]}``.

    Raises:
        BadInput: it is no whole backup, or the locations are not empty or elsewhere; once all is brought back, a book
            of it is not here, so that nothing can be proved of it.
        Refused: a ledger does not hold, or a champion does not give its scores.
        PassingFault: something did not answer.
    """
    here, known = settings(), _checked(folder)
    places = _places(here)
    if known["artifacts"] != here.mlflow_artifacts:
        raise BadInput("MLflow's database names the place of every artefact, and that is another here",
                       value=here.mlflow_artifacts, remedy=f"Set TOLLGATE_MLFLOW_ARTIFACTS to {known['artifacts']}.")
    if here.ledger_apart != (apart := "ledger" in known["places"]):
        raise BadInput(f"The ledger lies {'apart from' if apart else 'in'} the lake in the backup, and here not",
                       value=here.ledger,
                       remedy="Set TOLLGATE_LEDGER to where it is to lie." if apart else "Unset TOLLGATE_LEDGER.")
    for name, place in places.items():
        if strange := sorted(set(_listing(place)) - set(known["places"].get(name, {}))):
            raise BadInput("A backup is restored where nothing is, or where its restoration was cut off",
                           value=f"{place}/{strange[0]}",
                           remedy="Name empty locations (TOLLGATE_DATA), or move away what lies there.")
    if known["dump"] is not None:
        _restore_database(registry.address(), known, folder / DUMP)
    if "keys" in places:
        _tighten(Path(places["keys"]))  # before a key lies in it
    for name in places.keys() & known["places"].keys():
        files = known["places"][name]
        lake.Store(places[name]).copy_from(folder / name, sorted(files))
        say(f"{name}: {len(files):,} files, {_size(files):,} bytes")
    if "keys" in places:
        _tighten(Path(places["keys"]))
    return {"restored": str(folder), "files": sum(map(len, known["places"].values())),
            "elsewhere": known["elsewhere"], **_proof(_decided(known), say)}


def _restore_database(database: str, known: dict[str, Any], dump: Path) -> None:
    """Bring MLflow's database back where it holds nothing, or nothing that the backup does not."""
    if not database.startswith("postgresql"):
        raise BadInput("The backup has MLflow's database, and here a server stands before it", value=database,
                       remedy="Set TOLLGATE_MLFLOW to the database of that server (postgresql://…).")
    if strange := sorted(set(registry.runs_and_versions(database)) - set(known.get("held", ()))):
        raise BadInput("MLflow's database holds what the backup does not know, and would lose it", value=strange[0],
                       remedy="Set TOLLGATE_MLFLOW to an empty database, or leave it unset for the embedded one.")
    services.restore_database(database, dump)


def _places(here: Settings) -> dict[str, str]:
    """Where what cannot be made again lies; workspaces and caches are copies of it."""
    return here.locations() | ({"keys": str(here.data / "keys")} if here.ledger_key == EMBEDDED else {})


def _make(folder: Path, places: dict[str, str]) -> None:
    """Make the folder of a backup, for its owner alone also where somebody made it before."""
    for name, place in places.items():
        if "://" not in place and folder.resolve().is_relative_to(Path(place).resolve()):
            raise BadInput(f"A backup does not lie in what it copies, the {name}", value=folder,
                           remedy="Name a folder on another disk.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BadInput("A backup is made in a folder of its own", value=folder,
                           remedy="Name one that is not there yet.")
        folder.chmod(0o700)
    except OSError as err:
        raise BadInput(f"A backup cannot be made there: {err.strerror}", value=folder,
                       remedy="Name a folder that is not there yet, where this user may make one.") from err


def _check_unchanged(places: dict[str, str], before: dict[str, dict[str, tuple[int, str]]], folder: Path) -> None:
    for name, place in places.items():
        if changed := sorted(set(before[name].items()) ^ set(_listing(place).items())):
            raise PassingFault("Something was written while the backup was made", value=f"{name}/{changed[0][0]}",
                               remedy=f"Pause the DAGs, wait until nothing runs, delete {folder} and do it again.")


def _listing(place: str) -> dict[str, tuple[int, str]]:
    """The files of a location with what changes when they are written anew.

    Whose the deployment is, is not among them: that of a restored one has another database.
    """
    return {entry.path: (entry.size, entry.stamp) for entry in lake.Store(place).list("")
            if entry.path != deployment.RECORD}


def _checked(folder: Path) -> dict[str, Any]:
    """The record of a backup whose every file is as it was copied."""
    store = lake.Store(str(folder))
    if not store.exists(RECORD):
        raise BadInput("There is no whole backup in this folder", value=folder,
                       remedy=f"{RECORD} is written last; name a folder in which it is.")
    try:
        known: dict[str, Any] = json.loads(store.read(RECORD))
        form = known["format"]
    except (ValueError, TypeError, KeyError) as err:
        raise BadInput("The record of the backup cannot be read: it is damaged or was cut short",
                       value=folder / RECORD, remedy="Take another backup.") from err
    if form != FORMAT:
        raise BadInput("Another Tollgate made this backup", value=f"format {form}, not {FORMAT}",
                       remedy="Restore it with the version that made it, and upgrade then.")
    told = {f"{name}/{path}": file["sha256"] for name, files in known["places"].items() for path, file in files.items()}
    if known["dump"] is not None:
        told[DUMP] = known["dump"]
    for path, digest in told.items():
        if not (folder / path).is_file() or _digest(folder / path) != digest:
            raise BadInput("A file of the backup is gone or is not what was copied", value=folder / path,
                           remedy="Take another backup.")
    return known


def _decided(known: dict[str, Any]) -> list[str]:
    """The books of which a backup holds decisions."""
    tables = known["places"].get("ledger", known["places"]["lake"])
    return sorted({book for book, _, rest in (path.partition("/") for path in tables)
                   if rest.startswith(f"{lake.ledger(book).name}/")})


def _proof(books: list[str], say: Say) -> dict[str, Any]:
    ledgers, proved = {}, []
    for name in map(check_book, books):
        ledgers[name] = registry.verify(name)["entries"]
        say(f"{name}: the ledger's {ledgers[name]} lines hold")
        if (champion := registry.champion(name)) is not None:
            shown = registry.prove(champion)
            proved.append({"book": name, "version": champion.version, "source": shown["source"],
                           "rows": shown["rows"]})
            say(f"{name}: version {champion.version} gives all {shown['rows']:,} {shown['source']} again")
    return {"ledgers": ledgers, "proved": proved}


def _tighten(keys: Path) -> None:
    """Leave private keys to their owner, and the folder that holds them or will."""
    keys.mkdir(parents=True, exist_ok=True)
    for path in (keys, *keys.glob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)


def _digest(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _size(files: dict[str, dict[str, Any]]) -> int:
    return sum(file["size"] for file in files.values())
