"""Put-if-absent, proven on a real server that keeps it and on real servers that do not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from careless import Careless

from tollgate import lake
from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault
from tollgate.lake import Store, contention, prove_put_if_absent

Serve = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process has proven before."""
    monkeypatch.setattr(contention, "_proven", set())


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a careless server; its kept files are handed back."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Careless)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)

    def start(put: Callable[[bool], int]) -> Any:
        server.put, server.kept, server.asked = put, {}, []  # type: ignore[attr-defined]
        thread.start()
        for name, value in {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_ACCESS_KEY_ID": "k",
                            "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}.items():
            monkeypatch.setenv(name, value)
        return server

    yield start
    if thread.ident is not None:
        server.shutdown()
        thread.join()
    server.server_close()


def looks_then_writes() -> Callable[[bool], int]:
    """Two of the contenders look before either has written."""
    both = threading.Barrier(2)
    turns = iter(range(1_000_000))

    def put(absent: bool) -> int:
        if next(turns) < 2:
            both.wait(60)
            return 200 if absent else 412
        return 200 if absent else 412

    return put


@pytest.mark.parametrize(("put", "seen"), [
    (lambda absent: 200, "4 of 4 contenders won"),
    (looks_then_writes(), "2 of 4 contenders won"),
    (lambda absent: 501, r"does not answer a put with If-None-Match: 0 of 4 contenders won \(answers 501"),
    (lambda absent: 412, "0 of 4 contenders won"),
], ids=["the header is ignored", "it looks and then writes", "not implemented", "nobody may write"])
def test_a_store_without_an_atomic_put_if_absent_is_refused_by_name_with_what_was_seen(
        serve: Serve, put: Callable[[bool], int], seen: str) -> None:
    server: Any = serve(put)
    for _ in range(2):  # a refusal is not remembered as a proof
        server.put = looks_then_writes() if "2 of" in seen else put
        with pytest.raises(BadInput, match=f"two writers may both commit.*{seen}.*s3://loans/lake.*TOLLGATE_LAKE"):
            prove_put_if_absent("s3://loans/lake")
    assert set(server.asked) == {"*"}
    assert server.kept == {}, "the probe's own keys are taken away"


def test_a_store_that_keeps_nothing_of_what_it_accepts_is_refused(serve: Serve) -> None:
    first = threading.Lock()
    server: Any = serve(lambda absent: 200 if first.acquire(blocking=False) else 412)
    server.kept = Forgetful()
    with pytest.raises(BadInput, match="another content"):
        prove_put_if_absent("s3://loans/lake")


class Forgetful(dict[str, bytes]):
    """Keeps nothing."""

    def __setitem__(self, key: str, value: bytes) -> None:
        pass


@pytest.mark.parametrize(("status", "error"), [(403, BadInput), (503, PassingFault)])
def test_a_store_that_refuses_or_is_ill_is_told_apart_from_one_that_is_unfit(
        serve: Serve, status: int, error: type[Exception]) -> None:
    serve(lambda absent: status)
    with pytest.raises(error, match="s3://loans/lake"):
        prove_put_if_absent("s3://loans/lake")


def test_a_store_that_is_away_is_a_passing_fault(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(lambda absent: 200)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(PassingFault, match="did not answer"):
        prove_put_if_absent("s3://loans/lake")


def test_a_real_server_passes_with_nothing_left_behind_before_the_first_table_is_made(anywhere: str) -> None:
    lake.append_next(lake.ledger("sba"), lambda rows: None)
    names = {entry.path for entry in Store(settings().lake).list("")}
    assert names and not any("put-if-absent" in name for name in names)
    bucket = settings().lake.removeprefix("s3://").partition("/")[0]
    assert contention._proven == ({(bucket, boto3.client("s3").meta.endpoint_url)} if anywhere == "s3" else set())


def test_an_unfit_store_gets_no_table(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server: Any = serve(lambda absent: 200)
    monkeypatch.setattr("tollgate.lake.delta.open_table", lambda table: None)  # the server knows no listing
    monkeypatch.setenv("TOLLGATE_LAKE", "s3://loans/lake")
    with pytest.raises(BadInput, match="two writers may both commit"):
        lake.append_next(lake.ledger("sba"), lambda rows: None)
    assert server.kept == {}
