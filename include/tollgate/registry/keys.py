"""The ledger's keys (Ed25519, RFC 8032): whoever decides holds the private one, everybody reads by the public ones."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from tollgate.config import EMBEDDED, settings
from tollgate.errors import BadInput, Refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

OTHERS = 0o077  # the rights of group and others


def fingerprint(key: Ed25519PublicKey) -> str:
    """How a line names the key that signed it: 16 characters of the SHA-256 of the public key."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def signer() -> Ed25519PrivateKey:
    """The private key of this process; the embedded one is made at its first use.

    Raises:
        BadInput: this process has none, it is no Ed25519 key, or it is not among the public keys that are known here.
        Refused: somebody else may read it.
    """
    path = _path()
    if not path.exists() and _may_make():
        _make(path)
    if not path.exists():
        raise BadInput("The key that signs decisions is not held here", value=path,
                       remedy="Decide where it is held, or name its file in TOLLGATE_LEDGER_KEY.")
    key = _read(path)
    if fingerprint(key.public_key()) not in known():
        raise BadInput("The key here is none of TOLLGATE_LEDGER_PUBLIC_KEYS: nobody would believe what it signs",
                       value=f"{path}: {fingerprint(key.public_key())}",
                       remedy="Add its public key there, for every process that reads the ledger.")
    return key


def held() -> bool:
    """Whether this process may decide: it has the private key, or would make it."""
    return _path().exists() or _may_make()


def check() -> tuple[bool, list[str]]:
    """Whether this process holds the key that signs, and the fingerprints of those it reads by; nothing is made.

    Raises:
        BadInput, Refused: as ``signer`` and ``known``, or ``TOLLGATE_LEDGER_KEY`` names a file that is not there.
    """
    read_by = sorted(known())
    if _path().exists() or settings().ledger_key != EMBEDDED:
        return True, sorted({*read_by, fingerprint(signer().public_key())})
    return False, read_by


def known() -> dict[str, Ed25519PublicKey]:
    """The public keys by which the ledger is read, by fingerprint; none before the embedded one was made.

    Raises:
        BadInput: a key is not written as it should be, or none is told and there is no private one.
        Refused: somebody else may read the private key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    told = settings().ledger_public_keys
    if not told:
        if not _path().exists() and _may_make():
            return {}
        own = _read(_path()).public_key()
        return {fingerprint(own): own}
    found = {}
    for text in told.split(","):
        try:
            key = load_der_public_key(base64.b64decode(text.strip(), validate=True))
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise BadInput("TOLLGATE_LEDGER_PUBLIC_KEYS holds Ed25519 keys in Base64, with commas between",
                           value=text.strip()[:80],
                           remedy="openssl pkey -in KEY -pubout -outform DER | base64 writes one.")
        found[fingerprint(key)] = key
    return found


def _path() -> Path:
    told = settings().ledger_key
    return settings().data / "keys" / "ledger.pem" if told == EMBEDDED else Path(told)


def _may_make() -> bool:
    """Where public keys are told, somebody holds the private one already: another would sign what nobody believes."""
    return settings().ledger_key == EMBEDDED and not settings().ledger_public_keys


def _make(path: Path) -> None:
    """Make the key file, unless another process has made it meanwhile."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.parent / f".{uuid4().hex}.part"
    try:
        draft.touch(mode=0o600, exist_ok=False)
        with draft.open("wb") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _read(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        for place in (path, path.parent) if settings().ledger_key == EMBEDDED else (path,):
            if rights := place.stat().st_mode & OTHERS:
                raise Refused("The key that signs decisions may be read or replaced by others than its owner",
                              value=f"{place}, rights {rights:03o} of group and others",
                              remedy=f"chmod go= {place}; if somebody may have read it, make another key: "
                                     "docs/ledger.md says how.")
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as err:
        raise BadInput(f"The key that signs decisions cannot be read: {err.strerror}", value=path,
                       remedy="Correct TOLLGATE_LEDGER_KEY or the file's owner, or bring the file back.") from err
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput("The key that signs decisions is no Ed25519 key without a password in PEM", value=path,
                       remedy="openssl genpkey -algorithm ed25519 -out KEY makes one.")
    return key
