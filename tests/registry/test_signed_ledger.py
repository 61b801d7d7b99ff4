"""The ledger under attack by somebody who can write tables and does not hold the key; and the keys themselves."""

from __future__ import annotations

import base64
import json
import logging
import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from deltalake import DeltaTable, write_deltalake
from tests.processes import PROCESSES, move_to, places

from tollgate import ingest, lake, registry
from tollgate.books import load_book
from tollgate.config import settings
from tollgate.errors import BadInput, Refused
from tollgate.registry.entries import digest_of_entry, signed_text
from tollgate.registry.keys import fingerprint

BOOK = "consumer"
DAY = "2006-07-01"
Line = dict[str, Any]


def model(version: str, **changes: str) -> Line:
    return {"book": BOOK, "version": version, "digest": version * 64, "snapshot": "5" * 64, "as_of": DAY,
            "run_id": version * 32, **changes}


def registered(version: str, **changes: Any) -> tuple[str, Line]:
    return "registered", {"model": model(version), "compared_with": None, "files": {"gates.json": "a" * 64}, **changes}


def intent(version: str, previous: str | None = None, kind: str = "promotion", **changes: Any) -> tuple[str, Line]:
    return f"{kind}-intent", {"model": model(version), "previous": previous, "by": "ann", "comment": "",
                              "effective_on": DAY, **changes}


def committed(of: int, *told: Any, **more: Any) -> tuple[str, Line]:
    kind, payload = intent(*told, **more)
    return kind.replace("intent", "committed"), {**payload, "intent": of}


PROMOTED = [registered("1"), intent("1"), committed(2, "1")]


def decided(*lines: tuple[str, Line]) -> None:
    """Record these lines as whoever holds the key would."""
    for kind, payload in lines:
        assert registry.record(BOOK, kind, payload)


def own_key() -> Ed25519PrivateKey:
    key = load_pem_private_key((settings().data / "keys" / "ledger.pem").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def public_text(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def written() -> list[Line]:
    """The lines as whoever can read tables sees them."""
    return list(lake.read(lake.ledger(BOOK)).to_pylist())


def next_line(kind: str, payload: Line, key: Ed25519PrivateKey | None = None, book: str = BOOK) -> Line:
    """A line that continues the chain rightly, signed by a key of whoever writes it."""
    last, text = written()[-1], json.dumps(payload, sort_keys=True, separators=(",", ":"))
    line = {"kind": kind, "seq": last["seq"] + 1, "at": "2026-03-02T08:30:00.000+00:00", "payload": text,
            "previous": last["digest"]}
    digest = digest_of_entry(**line)
    signed = {"key": fingerprint(key.public_key()),
              "signature": base64.b64encode(key.sign(signed_text(book, digest))).decode()} if key else {}
    return {**line, "digest": digest, "key": None, "signature": None, **signed}


def write(lines: list[Line], mode: str = "append") -> None:
    """Write the table with nothing but a Delta library, as somebody with access to the files does."""
    write_deltalake(f"{settings().lake}/{BOOK}/ledger", pa.Table.from_pylist(lines, schema=lake.ledger(BOOK).schema),
                    mode=mode)


def anchor(line: Line) -> None:
    """Move the digest that is kept beside the table."""
    (Path(settings().store) / "ledger" / f"{BOOK}.json").write_text(
        json.dumps({"seq": line["seq"], "digest": line["digest"]}))


@pytest.fixture
def champion(home: Path) -> Path:
    """A ledger in which a first model is champion and a second one waits."""
    decided(*PROMOTED, registered("2"))
    return home


@pytest.mark.parametrize("signed_by", [None, Ed25519PrivateKey.generate()], ids=["unsigned", "a stranger's key"])
def test_a_champion_that_somebody_without_the_key_writes_is_none(
        champion: Path, signed_by: Ed25519PrivateKey | None) -> None:
    for kind, payload in (registered("3"), committed(2, "3", by="Head of Risk")):
        write([next_line(kind, payload, signed_by)])
    anchor(written()[-1])
    said = r"tampered with: line 5 \(registered\) is (not signed|signed by no known key: [0-9a-f]{16}); line 6 "
    for ask in (lambda: registry.verify(BOOK), lambda: registry.champion_on(BOOK, date(2030, 1, 1)),
                lambda: registry.record(BOOK, "note", {})):
        with pytest.raises(Refused, match=said):
            ask()


def test_a_line_under_the_fingerprint_of_the_true_key_with_another_signature_is_forged(champion: Path) -> None:
    line = next_line(*intent("2", "1"), Ed25519PrivateKey.generate())
    write([{**line, "key": fingerprint(own_key().public_key())}])
    with pytest.raises(Refused, match=r"tampered with: line 5 \(promotion-intent\) is forged: its signature"):
        registry.verify(BOOK)


def test_an_edited_line_whose_digest_was_made_anew_is_forged(champion: Path) -> None:
    first, *rest = written()
    payload = first["payload"].replace(DAY, "2005-01-01")
    edited = {**first, "payload": payload}
    edited["digest"] = digest_of_entry(*(edited[name] for name in ("seq", "at", "kind", "payload", "previous")))
    write([edited, *rest], "overwrite")
    with pytest.raises(Refused, match=r"tampered with: line 1 \(registered\) is forged.*; line 2 does not follow"):
        registry.verify(BOOK)


def test_an_old_line_that_is_played_again_is_named(champion: Path) -> None:
    old = written()[2]
    write([{**old, "seq": 5, "previous": written()[-1]["digest"]}])
    with pytest.raises(Refused, match=r"tampered with: line 5 \(promotion-committed\) was edited"):
        registry.verify(BOOK)


def test_a_line_that_was_signed_for_another_book_is_forged(champion: Path) -> None:
    write([next_line("note", {"by": "ann"}, own_key(), book="sba")])
    with pytest.raises(Refused, match=r"tampered with: line 5 \(note\) is forged: its signature"):
        registry.verify(BOOK)


def test_lines_that_changed_places_are_named_by_the_first(champion: Path) -> None:
    swap = {3: 4, 4: 3}
    write([{**line, "seq": swap.get(line["seq"], line["seq"])} for line in written()], "overwrite")
    with pytest.raises(Refused, match="tampered with: line 3 does not follow the line before it"):
        registry.verify(BOOK)


def cut_back(lines: int) -> None:
    """Forget the newest lines, in the table and in the digest beside it."""
    left = written()[:lines]
    write(left, "overwrite")
    anchor(left[-1])


def test_a_ledger_and_its_digest_cut_back_together_are_found_by_the_digest_in_another_store(
        home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decided(*PROMOTED)
    monkeypatch.setenv("TOLLGATE_LEDGER_ANCHOR", str(tmp_path / "elsewhere"))
    assert registry.verify(BOOK)["outside"] is None
    decided(registered("2"), ("rejected", {"model": model("2"), "by": "ann"}))
    assert registry.verify(BOOK)["outside"] == 5
    cut_back(4)
    for ask in (lambda: registry.verify(BOOK), lambda: registry.record(BOOK, "note", {})):
        with pytest.raises(Refused, match="line 5 was written and is missing at the end, as .*elsewhere/ledger"):
            ask()
    with monkeypatch.context() as patch:
        patch.delenv("TOLLGATE_LEDGER_ANCHOR")
        decided(intent("2", "1"))
    with pytest.raises(Refused, match="line 5 is not the one that was written, as .*/elsewhere/ledger/consumer.json"):
        registry.champion_on(BOOK, date(2030, 1, 1))


def test_a_ledger_and_its_digest_cut_back_together_are_found_by_a_head_that_was_noted(champion: Path) -> None:
    noted = registry.verify(BOOK)["head"]
    decided(("rejected", {"model": model("2"), "by": "ann"}))
    assert registry.verify(BOOK, noted)["intact"]
    cut_back(3)
    with pytest.raises(Refused, match=f"No line of the ledger of consumer has the digest .*got: {noted}"):
        registry.verify(BOOK, noted)


ILLEGAL: dict[str, tuple[list[tuple[str, Line]], str]] = {
    "a commit without its intent": ([registered("1"), committed(1, "1")], "there is no intent before it"),
    "a commit of something else": ([*PROMOTED[:2], committed(2, "1", by="bob")], "something else than line 2 intended"),
    "a commit of another kind": ([*PROMOTED[:2], committed(2, "1", kind="rollback")], "there is no intent before it"),
    "a model that never passed": ([registered("1"), intent("2")], "version 2 of this digest is not the challenger"),
    "another digest than was registered": ([registered("1"), intent("1", model=model("1", digest="f" * 64))],
                                           "version 1 of this digest is not the challenger"),
    "a registration without gates": ([registered("1", files={})], "does not tell what the gates said"),
    "a version registered twice": ([registered("1"), registered("1")], "version 1 is registered already"),
    "a model rejected before": ([registered("1"), ("rejected", {"model": model("1"), "by": "ann"}), intent("1")],
                                "version 1 of this digest is not the challenger"),
    "a rejection of the champion": ([*PROMOTED, ("rejected", {"model": model("1"), "by": "ann"})],
                                    "version 1 is not the challenger"),
    "a decision while another is open": ([*PROMOTED[:2], registered("2")], "line 2 is neither committed nor abandoned"),
    "an intent that nobody had": ([registered("1"), ("abandoned", {"intent": 1, "why": "so"})], "no such intent"),
    "nobody's name": ([registered("1"), intent("1", by=" ")], "names nobody who decided"),
    "in force before its as-of": ([registered("1"), intent("1", effective_on="2006-06-30")],
                                  "in force from 2006-06-30, before its as-of 2006-07-01"),
    "another predecessor": ([registered("1"), intent("1", "7")], "champion before it is not version 7"),
    "a rollback to no champion": ([*PROMOTED, registered("2"), intent("2", "1", kind="rollback")],
                                  "version 2 of this digest is no former champion"),
    "lines that nobody left unsigned": ([*PROMOTED, ("adopted", {"entries": 1, "head": "0" * 64, "by": "ann"})],
                                        "it vouches for other lines than these"),
}


@pytest.mark.parametrize("name", ILLEGAL)
def test_a_signed_line_that_may_not_stand_there_is_named_and_stops_every_decision(home: Path, name: str) -> None:
    lines, says = ILLEGAL[name]
    decided(*lines)
    said = rf"tampered with: line {len(lines)} \([a-z-]+\) is out of order: .*{says}"
    with pytest.raises(Refused, match=said):
        registry.verify(BOOK)
    with pytest.raises(Refused, match=said):
        registry.record(BOOK, "note", {})


def test_every_line_that_is_written_in_the_life_of_models_is_legal(home: Path) -> None:
    decided(*PROMOTED, ("release-intent", {"fingerprint": "f", "rows": [1]}), registered("2"), intent("2", "1"),
            ("mended", {"alias": "champion", "found": None, "restored": "1"}), committed(6, "2", "1"),
            registered("3"), registered("4"), ("rejected", {"model": model("4"), "by": "ann"}),
            intent("1", "2", kind="rollback"), ("abandoned", {"intent": 12, "why": "spoilt"}),
            intent("1", "2", kind="rollback"), committed(14, "1", "2", kind="rollback"),
            ("release-committed", {"fingerprint": "f", "rows": [1], "left": 0}))
    assert registry.verify(BOOK)["entries"] == 16
    assert registry.champion_on(BOOK, date(2006, 7, 1)) == registry.Version.from_json(model("1"))


def test_the_key_is_made_at_first_use_for_its_owner_alone(home: Path) -> None:
    registry.verify(BOOK)
    assert not (home / "keys").exists()
    registry.record(BOOK, "note", {})
    path = home / "keys" / "ledger.pem"
    assert [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent)] == [0o600, 0o700]
    assert [p.name for p in path.parent.iterdir()] == ["ledger.pem"]


@pytest.mark.parametrize(("place", "mode"), [("keys/ledger.pem", 0o640), ("keys/ledger.pem", 0o604), ("keys", 0o770)])
def test_a_key_that_others_may_read_or_replace_is_refused(champion: Path, place: str, mode: int) -> None:
    (champion / place).chmod(mode)
    for ask in (lambda: registry.verify(BOOK), lambda: registry.record(BOOK, "note", {})):
        with pytest.raises(Refused, match=rf"by others than its owner .got: .*{place}, rights {mode & 0o77:03o} of "):
            ask()


def test_a_file_that_is_no_key_is_named(champion: Path) -> None:
    (champion / "keys" / "ledger.pem").write_text("-----{} PRIVATE KEY-----\n-----{} PRIVATE KEY-----\n".format(
        "BEGIN", "END"))
    with pytest.raises(BadInput, match=r"no Ed25519 key .* \(got: .*ledger.pem\).*openssl genpkey"):
        registry.verify(BOOK)


def record_once(where: dict[str, str], number: int) -> None:
    """A process of its own that writes one line."""
    move_to(where)
    registry.record(BOOK, "note", {"k": number})


def test_two_processes_that_make_the_key_at_once_sign_with_one(home: Path) -> None:
    children = [PROCESSES.Process(target=record_once, args=(places(), number)) for number in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert registry.verify(BOOK)["entries"] == 2 and len({line["key"] for line in written()}) == 1


@pytest.fixture
def reader(champion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ed25519PrivateKey:
    """A process that is told the public key, on a machine where the private one is not; that key, for a witness."""
    key = own_key()
    (champion / "keys").rename(tmp_path / "elsewhere")
    monkeypatch.setenv("TOLLGATE_LEDGER_PUBLIC_KEYS", public_text(key))
    return key


def test_a_reader_without_the_key_reads_and_verifies_and_cannot_decide(
        reader: Ed25519PrivateKey, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert registry.verify(BOOK)["entries"] == 4
    holder = registry.champion(BOOK)
    assert holder is not None and holder.version == "1"
    with pytest.raises(BadInput, match="key that signs decisions is not held here.*TOLLGATE_LEDGER_KEY"):
        registry.record(BOOK, "note", {})
    with pytest.raises(BadInput, match="key that signs decisions is not held here"):
        registry.reject(BOOK, "1", by="eve")  # which is no challenger: whoever cannot decide is not told more
    assert not (home / "keys").exists() and caplog.text == ""


def test_a_reader_goes_by_the_ledger_where_a_decision_was_cut_short_and_says_so(
        champion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    decided(intent("2", "1"))
    monkeypatch.setenv("TOLLGATE_LEDGER_PUBLIC_KEYS", public_text(own_key()))
    (champion / "keys").rename(tmp_path / "elsewhere")
    with caplog.at_level(logging.WARNING):
        holder = registry.champion(BOOK)
    assert holder is not None and holder.version == "1"
    assert "line 5 (promotion-intent) was cut short; only who holds the ledger's key can finish it" in caplog.text


def test_after_a_rotation_both_keys_count_and_without_the_old_one_the_first_line_is_named(
        reader: Ed25519PrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, path = Ed25519PrivateKey.generate(), tmp_path / "new.pem"
    path.touch(mode=0o600)
    path.write_bytes(pem(new))
    monkeypatch.setenv("TOLLGATE_LEDGER_KEY", str(path))
    with pytest.raises(BadInput, match=rf"none of TOLLGATE_LEDGER_PUBLIC_KEYS.*{fingerprint(new.public_key())}"):
        registry.record(BOOK, "note", {})
    monkeypatch.setenv("TOLLGATE_LEDGER_PUBLIC_KEYS", f"{public_text(reader)}, {public_text(new)}")
    registry.record(BOOK, "note", {})
    assert registry.verify(BOOK)["entries"] == 5
    monkeypatch.setenv("TOLLGATE_LEDGER_PUBLIC_KEYS", public_text(new))
    with pytest.raises(Refused, match=r"with: line 1 \(registered\) is signed by no known key: "
                                      + fingerprint(reader.public_key())):
        registry.verify(BOOK)


@pytest.mark.parametrize("told", ["secret", base64.b64encode(b"no key").decode()])
def test_a_public_key_that_is_none_is_named(champion: Path, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("TOLLGATE_LEDGER_PUBLIC_KEYS", told)
    with pytest.raises(BadInput, match=f"Ed25519 keys in Base64.*got: {told}"):
        registry.verify(BOOK)


@pytest.fixture
def unsigned(champion: Path) -> list[Line]:
    """The ledger as an older Tollgate left it: no column for a key or a signature."""
    old = lake.read(lake.ledger(BOOK)).drop_columns(["key", "signature"])
    write_deltalake(f"{settings().lake}/{BOOK}/ledger", old, mode="overwrite", schema_mode="overwrite")
    return list(old.to_pylist())


def test_a_ledger_of_an_older_tollgate_is_refused_until_somebody_vouches_for_its_last_line(
        unsigned: list[Line]) -> None:
    with pytest.raises(Refused, match="lacks the columns key, signature.*tollgate ingest migrate consumer"):
        registry.verify(BOOK)
    ingest.migrate(load_book(BOOK))
    with pytest.raises(Refused, match=r"line 1 \(registered\) is not signed.*tollgate ledger adopt consumer"):
        registry.champion_on(BOOK, date(2030, 1, 1))
    with pytest.raises(Refused, match=f"another than you vouch for .got: {unsigned[-1]['digest']}"):
        registry.adopt(BOOK, "f" * 64, "ann", "compared with the backup of Sunday")
    assert registry.adopt(BOOK, unsigned[-1]["digest"], "ann", "compared with the backup of Sunday")["entries"] == 5
    holder = registry.champion_on(BOOK, date(2030, 1, 1))
    assert holder is not None and holder.version == "1"
    decided(intent("2", "1"), committed(6, "2", "1"))
    assert registry.verify(BOOK)["entries"] == 7
    with pytest.raises(Refused, match="nothing to adopt"):
        registry.adopt(BOOK, unsigned[-1]["digest"], "ann", "again")


@pytest.mark.parametrize("change", [lambda lines: [lines[0], *lines[2:]],
                                    lambda lines: [{**lines[0], "payload": "{}"}, *lines[1:]]],
                         ids=["dropped", "edited"])
def test_an_adopted_line_that_is_changed_afterwards_is_named(
        unsigned: list[Line], change: Callable[[list[Line]], list[Line]]) -> None:
    ingest.migrate(load_book(BOOK))
    registry.adopt(BOOK, unsigned[-1]["digest"], "ann", "compared with the backup of Sunday")
    write(change(written()), "overwrite")
    with pytest.raises(Refused, match=r"line (1 \(registered\) was edited|2 is missing)"):
        registry.verify(BOOK)


def test_a_broken_ledger_is_not_adopted(unsigned: list[Line]) -> None:
    ingest.migrate(load_book(BOOK))
    write([line for line in written() if line["seq"] != 2], "overwrite")
    with pytest.raises(Refused, match="tampered with: line 2 is missing"):
        registry.adopt(BOOK, unsigned[-1]["digest"], "ann", "compared with nothing")
    assert [line["kind"] for line in written()] == ["registered", "promotion-committed", "registered"]


def test_a_line_without_a_signature_after_the_adoption_is_named(unsigned: list[Line]) -> None:
    ingest.migrate(load_book(BOOK))
    registry.adopt(BOOK, unsigned[-1]["digest"], "ann", "compared with the backup of Sunday")
    write([next_line(*intent("2", "1"))])
    with pytest.raises(Refused, match=r"tampered with: line 6 \(promotion-intent\) is not signed"):
        registry.verify(BOOK)
    assert DeltaTable(f"{settings().lake}/{BOOK}/ledger").schema().fields[-1].name == "signature"
