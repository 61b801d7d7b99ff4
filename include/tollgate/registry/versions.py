"""A registered model version, and its folder fetched and re-hashed."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tollgate.config import settings
from tollgate.errors import Refused
from tollgate.registry.tracking import bring, client, faults_named, name_of

ARTEFACT = "model"


@dataclass(frozen=True)
class Version:
    """One registered model: what it is called, what it is made of, and where its record is.

    Attributes:
        version: the registry's number, as text.
        digest: of the model's folder.
        snapshot: digest of the training rows.
        as_of: the instant it was trained at.
        run_id: its MLflow run.
    """

    book: str
    version: str
    digest: str
    snapshot: str
    as_of: date
    run_id: str

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {**asdict(self), "as_of": self.as_of.isoformat()}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Version:
        """The version that ``to_json`` described."""
        return cls(**{**record, "as_of": date.fromisoformat(record["as_of"])})


@faults_named()
def find(book: str, version: str) -> Version | None:
    """The version as MLflow records it; None when it has none of that number, or not as Tollgate wrote it."""
    from mlflow.exceptions import MlflowException

    try:
        found = client().get_model_version(name_of(book), version)
    except MlflowException as err:
        if err.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    try:
        return Version(book, str(found.version), found.tags["digest"], found.tags["snapshot"],
                       date.fromisoformat(found.tags["as_of"]), str(found.run_id))
    except (KeyError, ValueError):
        return None


def kept(digest: str) -> Path | None:
    """The folder of the model with this digest, if this machine has it whole."""
    from tollgate.features import digest_of

    folder = _kept(digest)
    return folder if folder.is_dir() and digest_of(folder) == digest else None


@faults_named()
def rehash(version: Version) -> Path:
    """Download the artefact again and compare its digest, whatever is here already.

    Raises:
        Refused: it is gone, or it is not the artefact that was registered.
        PassingFault: MLflow or its artefact store did not answer.
    """
    from tollgate.features import digest_of

    home = _kept(version.digest)
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".fetching-") as draft:
        folder = bring(version.run_id, ARTEFACT, draft)
        found = digest_of(folder)
        if found != version.digest:
            raise Refused(f"The artefact of {name_of(version.book)} version {version.version} changed after "
                          f"registration: it hashes to {found}, not to {version.digest}", value=version.digest,
                          remedy="Restore the artefact, or train and approve another model.")
        if home.is_dir() and kept(version.digest) is None:
            shutil.rmtree(home)
        try:
            folder.replace(home)
        except OSError:
            # Another process put the same folder here first.
            if kept(version.digest) is None:
                raise
    return home


def _kept(digest: str) -> Path:
    return settings().data / "models" / digest
