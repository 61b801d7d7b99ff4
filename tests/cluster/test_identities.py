"""The ledger's writer and the writers of tables are two to the object store that docker/s3.sh starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import requests
from tests.cluster.test_doors import SECRET, seaweed

from tollgate.config import PROJECT

DECIDING = """
from tollgate import deployment, registry
import boto3
for bucket in ("tollgate", "tollgate-ledger"):
    boto3.client("s3").create_bucket(Bucket=bucket)
for number in range(3):
    registry.record("consumer", "note", {"number": number})
print(json.dumps({"public": registry.check_keys()[1]}))
"""
PUBLIC = """
import base64
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tollgate.registry.keys import signer
print(json.dumps(base64.b64encode(signer().public_key().public_bytes(
    Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()))
"""
TABLES = """
import boto3, os, pyarrow as pa
from deltalake import write_deltalake
from tollgate import lake, registry

def tried(what):
    try:
        what()
        return "done"
    except Exception as err:
        return str(err)

client, line = boto3.client("s3"), lake.read(lake.ledger("consumer"))
files = client.list_objects_v2(Bucket="tollgate-ledger")["Contents"]
print(json.dumps({
    "read": registry.verify("consumer")["entries"],
    "table": tried(lambda: lake.replace_partitions(lake.measures("consumer"), pa.Table.from_batches(
        [], lake.measures("consumer").schema), ["2007-01-01"])),
    "forge": tried(lambda: write_deltalake("s3://tollgate-ledger/ledger/consumer/ledger", line, mode="append",
        storage_options={"aws_endpoint": os.environ["AWS_ENDPOINT_URL"], "aws_allow_http": "true"})),
    "overwrite": tried(lambda: client.put_object(Bucket="tollgate-ledger", Key=files[0]["Key"], Body=b"")),
    "cut": [tried(lambda: client.delete_object(Bucket="tollgate-ledger", Key=one["Key"])) for one in files],
    "bucket": tried(lambda: client.delete_bucket(Bucket="tollgate-ledger")),
    "after": registry.verify("consumer")["entries"]}))
"""


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """The address of the topology's own S3 server, with the identities of docker/s3.sh."""
    with seaweed(tmp_path, (PROJECT / "docker" / "s3.sh").read_text(encoding="utf-8")) as moved:
        yield f"http://127.0.0.1:{moved[8333]}"


def run(program: str, endpoint: str, home: Path, key: str, secret: str, **more: str) -> object:
    """A process of one service: what it answers."""
    done = subprocess.run([sys.executable, "-c", f"import json\n{program}"], capture_output=True, text=True, env={
        **os.environ, "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1", "TOLLGATE_DATA": str(home), "TOLLGATE_LAKE": "s3://tollgate/lake",
        "TOLLGATE_LEDGER": "s3://tollgate-ledger/ledger", "TOLLGATE_STORE": "s3://tollgate/store", **more})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_who_writes_tables_reads_the_ledger_and_cannot_write_overwrite_or_shorten_it(
        endpoint: str, tmp_path: Path) -> None:
    decider = (endpoint, tmp_path / "decider", "deciding-key", f"{SECRET}-too")
    run(DECIDING, *decider)
    public = str(run(PUBLIC, *decider))
    told = run(TABLES, endpoint, tmp_path / "worker", "our-access-key", SECRET, TOLLGATE_LEDGER_PUBLIC_KEYS=public)
    assert isinstance(told, dict)
    assert (told["read"], told["after"], told["table"]) == (3, 3, "done")
    refused = [told["forge"], told["overwrite"], told["bucket"], *told["cut"]]
    assert all("AccessDenied" in str(answer) or "Access Denied" in str(answer) for answer in refused), refused


def test_buckets_leave_the_server_room_for_its_own_log_without_which_every_write_would_wait(tmp_path: Path) -> None:
    with seaweed(tmp_path, (PROJECT / "docker" / "s3.sh").read_text(encoding="utf-8")) as moved:
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{moved[8333]}", aws_access_key_id="deciding-key",
                              aws_secret_access_key=f"{SECRET}-too", region_name="us-east-1")
        for bucket in ("tollgate-ledger", "tollgate"):
            client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=bucket, Key="one", Body=b"1")
        room = requests.get(f"http://127.0.0.1:{moved[9333]}/dir/assign", timeout=60).json()
    assert "fid" in room, room
