"""The asset watcher on landing, run for real against a folder and against an S3 server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tollgate.config import PROJECT, settings
from tollgate.lake import Store

Hear = Callable[[], Any]


@pytest.fixture
def again() -> float:
    """After how many seconds a file that still waits is announced again: not in the life of a test."""
    return 3_600.0


@pytest.fixture
def hear(anywhere: str, again: float, tmp_path: Path) -> Iterator[Hear]:
    """What the trigger announces next; it is started when first asked."""
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
           "TOLLGATE_BIN": str(PROJECT / ".venv/bin/tollgate")}
    with subprocess.Popen(
            [str(PROJECT / ".venv-airflow/bin/python"), str(Path(__file__).with_name("watch.py")),
             str(again)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, cwd=tmp_path, start_new_session=True) as child:
        assert child.stdout is not None
        yield lambda out=child.stdout: json.loads(out.readline())
        os.killpg(child.pid, signal.SIGKILL)


def begin_upload(anywhere: str, name: str) -> Callable[[], None]:
    """Half of a file, as a sender brings it to a folder or to S3; what is handed back ends the upload."""
    if anywhere == "local":
        folder = Path(settings().landing) / "sba"
        folder.mkdir(parents=True, exist_ok=True)
        out = (folder / name).open("wb")
        out.write(b"half")
        out.flush()
        return out.close
    bucket, _, prefix = settings().landing.removeprefix("s3://").partition("/")
    client, where = boto3.client("s3"), {"Bucket": bucket, "Key": f"{prefix}/sba/{name}"}
    upload = client.create_multipart_upload(**where)["UploadId"]
    part = client.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"half")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    return lambda: client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts) and None


@pytest.mark.parametrize(("value", "said"), [("", "10.0"), ("2.5", "2.5"), ("often", "TOLLGATE_LOOK_SECONDS must be a "
                         "number of seconds above 0 (got: often); unset it for the default of 10.")])
def test_how_long_the_triggers_wait_between_two_looks_can_be_set(value: str, said: str, tmp_path: Path) -> None:
    look = ("from tollgate_airflow.triggers import DriftTrigger, LandingTrigger\n"
            "print({LandingTrigger('sba').every, DriftTrigger('sba', 'retrain', 'run').every})")
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT / "plugins"),
           "TOLLGATE_LOOK_SECONDS": value}
    done = subprocess.run([str(PROJECT / ".venv-airflow/bin/python"), "-c", look], env=env, cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert said in (done.stdout + done.stderr).splitlines()[-1]


def test_a_file_is_announced_once_it_is_whole_and_not_before(anywhere: str, hear: Hear) -> None:
    usual = hear()
    assert usual["every"] <= 10, "seconds between two looks"
    assert 300 <= usual["again"] <= 1_800, "a file that waits is announced again, and starts no storm of runs"
    end = begin_upload(anywhere, "applications_half.csv")
    Store(settings().landing).write("sba/applications_other.csv.part", b"half")
    Store(settings().landing).write("card/applications_whole.csv", b"of another book")
    Store(settings().landing).write("sba/applications_whole.csv", b"whole")
    assert hear() == {"files": 1}
    end()
    assert hear() == {"files": 2}


@pytest.mark.parametrize("again", [0.0])
def test_a_file_that_no_run_took_in_is_announced_again_while_it_waits(anywhere: str, hear: Hear) -> None:
    hear()
    Store(settings().landing).write("sba/applications_whole.csv", b"whole")
    assert [hear(), hear()] == [{"files": 1}, {"files": 1}]
