"""Whether an object store keeps the promise that every commit of a lake stands on: of two that put a key, one does.

Delta writes the next entry of its log with ``If-None-Match: *``. A server that ignores the header, or looks and writes
in two steps, lets two writers both believe that they have committed, and the rows of one are gone without a word.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Barrier
from typing import Any
from uuid import uuid4

from tollgate.errors import BadInput, PassingFault

CONTENDERS, ROUNDS = 4, 5
WON, LOST, NOT_IMPLEMENTED = 200, (409, 412), 501
SERVERS_OWN = 500  # from here on, a fault of the server's
REMEDY = ("Put the lake on a server with atomic conditional writes (AWS S3, or SeaweedFS as in docker-compose.yml), or "
          "on a local folder: TOLLGATE_LAKE.")

_proven: set[tuple[str, str | None]] = set()  # buckets, and the server of each


def prove_put_if_absent(root: str) -> None:
    """Let several contenders put the same fresh key below ``root`` at once, for some rounds; each must have one winner.

    Nothing is asked of a root that is no ``s3://`` address: a local disk creates a file once. A bucket that has been
    proven is not asked again by this process.

    Raises:
        BadInput: more or fewer than one won, a later one won too, or the store does not know or allow the request.
        PassingFault: the store did not answer.
    """
    where, _, prefix = root.removeprefix("s3://").rstrip("/").partition("/")
    if not root.startswith("s3://") or (where, _endpoint()) in _proven:
        return
    with _faults_named(root):
        clients = [_client() for _ in range(CONTENDERS)]
        keys = [f"{prefix}/.put-if-absent-{uuid4().hex}/{number}".lstrip("/") for number in range(ROUNDS)]
        try:
            for key in keys:
                judge(_contend(clients, where, key), _kept(clients[0], where, key),
                      _put(clients[0], where, key, b"late"), root)
        finally:
            for key in keys:
                with suppress(Exception):  # what was found matters more than what is left behind
                    clients[0].delete_object(Bucket=where, Key=key)
    _proven.add((where, _endpoint()))


def judge(answers: Sequence[int], kept: bytes, late: int, root: str) -> None:
    """One round: the status that each contender was answered, what the key then held, and a late one's status.

    Raises ``BadInput`` unless exactly one contender was told that it has won, its content is kept, and the late one
    was turned away.
    """
    told = f"{answers.count(WON)} of {len(answers)} contenders won (answers {', '.join(map(str, sorted(answers)))})"
    if any(answer not in (WON, *LOST) for answer in (*answers, late)):
        raise _unfit(f"it does not answer a put with If-None-Match: {told}", root)
    if answers.count(WON) != 1:
        raise _unfit(told, root)
    if kept != str(answers.index(WON)).encode():
        raise _unfit("the key holds another content than that of the contender who was told that it won", root)
    if late not in LOST:
        raise _unfit(f"a put of a key that was there was answered {late}", root)


def _contend(clients: Sequence[Any], bucket: str, key: str) -> list[int]:
    """The status that each client is answered; all of them put at once."""
    start = Barrier(len(clients))

    def put(number: int) -> int:
        start.wait()
        return _put(clients[number], bucket, key, str(number).encode())

    with ThreadPoolExecutor(len(clients)) as contenders:
        return list(contenders.map(put, range(len(clients))))


def _put(client: Any, bucket: str, key: str, content: bytes) -> int:
    from botocore.exceptions import ClientError

    try:
        client.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*")
    except ClientError as err:
        status = int(err.response["ResponseMetadata"]["HTTPStatusCode"])
        if status in (*LOST, NOT_IMPLEMENTED):
            return status
        raise
    return WON


def _kept(client: Any, bucket: str, key: str) -> bytes:
    try:
        content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except client.exceptions.NoSuchKey:
        return b""
    return content


def _unfit(seen: str, root: str) -> BadInput:
    return BadInput(f"The object store cannot hold a lake, for two writers may both commit: {seen}", value=root,
                    remedy=REMEDY)


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _client() -> Any:
    """A client of its own connections; nothing is tried twice, for the second try meets what the first has written."""
    import boto3
    from botocore.config import Config

    endpoint = _endpoint()
    config = Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 1},
                    s3={"addressing_style": "path" if endpoint else "auto"})
    return boto3.session.Session().client("s3", endpoint_url=endpoint, config=config,
                                          region_name=os.environ.get("AWS_REGION"))


@contextmanager
def _faults_named(root: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except ClientError as err:
        if int(err.response["ResponseMetadata"]["HTTPStatusCode"]) < SERVERS_OWN:
            raise BadInput(f"The object store refused a first file: {err}", value=root,
                           remedy="Check TOLLGATE_LAKE, the bucket, the credentials and what they may do.") from err
        raise PassingFault(f"The object store did not answer: {err}", value=root,
                           remedy="Check AWS_ENDPOINT_URL and the network.") from err
    except NoCredentialsError as err:
        raise BadInput("There are no credentials for the object store", value=root,
                       remedy="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.") from err
    except BotoCoreError as err:
        raise PassingFault(f"The object store did not answer: {err}", value=root,
                           remedy="Check AWS_ENDPOINT_URL and the network.") from err
