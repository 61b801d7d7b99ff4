"""Two deployments share no lake, two codes share no run, and a store that is not ours is named beforehand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from tollgate import deployment, lake
from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault


@pytest.fixture
def shared(request: pytest.FixtureRequest, home: Path, studies: Callable[[], None],
           monkeypatch: pytest.MonkeyPatch) -> str:
    """Every location in a bucket of its own; the name of it, which nobody has made yet."""
    studies()
    server = request.getfixturevalue("s3_server")
    bucket = "b-" + home.parent.name.replace("_", "-").lower()[-40:].strip("-")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    for place in ("lake", "landing", "store", "dvc_remote", "mlflow_artifacts"):
        monkeypatch.setenv(f"TOLLGATE_{place.upper()}", f"s3://{bucket}/{place}")
    return bucket


def test_a_missing_bucket_is_made_and_preparing_again_changes_nothing(shared: str) -> None:
    first = deployment.prepare()
    assert first["buckets_made"] == [shared]
    assert deployment.prepare() == {**first, "buckets_made": []}
    assert [entry.path for entry in lake.Store(settings().store).list("")] == ["deployment.json", "format.json"]


def test_a_second_deployment_on_the_same_store_is_refused_until_it_says_that_it_takes_over(shared: str) -> None:
    deployment.prepare()
    store = lake.Store(settings().store)
    ours = store.read_json(deployment.RECORD)
    store.write_json(deployment.RECORD, {**ours, "database": "another"})
    with pytest.raises(BadInput, match="Another deployment works on this store .*tollgate prepare --take-over"):
        deployment.prepare()
    deployment.prepare(take_over=True)
    assert store.read_json(deployment.RECORD) == ours


def test_a_machine_with_other_code_is_told_so_and_may_be_tried_again(shared: str) -> None:
    deployment.check_code()  # nothing was prepared yet: there is nobody to differ from
    deployment.prepare()
    deployment.check_code()
    store = lake.Store(settings().store)
    store.write_json(deployment.RECORD, {**store.read_json(deployment.RECORD), "code": "f" * 64})
    with pytest.raises(PassingFault, match=r"other code than the deployment was prepared with \(got: \w+, not f{12}\)"):
        deployment.check_code()


def test_a_store_that_another_tollgate_wrote_is_refused_and_left_as_it_is(home: Path) -> None:
    deployment.check_format()  # one that nobody has written to is of any
    deployment.note_format()
    deployment.note_format()
    store = lake.Store(settings().store)
    assert store.read_json("format.json") == {"format": 1}
    store.write_json("format.json", {"format": 2})
    for ask in (deployment.check_format, deployment.note_format):
        with pytest.raises(BadInput, match="records of the store are of format 2, which another Tollgate wrote"):
            ask()
    assert store.read_json("format.json") == {"format": 2}


def test_a_key_that_the_store_does_not_know_is_told_with_the_bucket(shared: str,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with pytest.raises(BadInput, match=f"The bucket {shared} is not ours to use.*AWS_SECRET_ACCESS_KEY"):
        deployment.prepare()


def test_a_database_that_does_not_know_the_password_is_told_so(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TOLLGATE_OPTUNA", os.environ["TOLLGATE_OPTUNA"].partition("?")[0])
        patch.setenv("PGPASSWORD", "wrong")
        with pytest.raises(BadInput, match="The database refused: .*password authentication failed.*PGPASSWORD"):
            deployment.prepare()


def test_a_store_that_may_only_be_read_is_told_with_its_place(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment.prepare()
    refuse = boto3.client("s3")
    refuse.put_bucket_policy(Bucket=shared, Policy=f"""{{"Version": "2012-10-17", "Statement": [{{"Effect": "Deny",
        "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::{shared}/landing/*"}}]}}""")
    with pytest.raises(BadInput, match=f"s3://{shared}/landing cannot be written to"):
        deployment.prepare()
