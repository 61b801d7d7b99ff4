"""Every port of docker-compose.yml's services: who may come in and why, and what a knock without a login is told.

``knock`` speaks each port's protocol for real. The page for people is docs/doors.md.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
import struct
from dataclasses import dataclass
from datetime import UTC, datetime

import requests

PATIENCE = 20.0
CLOSED = "closed"


@dataclass(frozen=True)
class Door:
    """One way in. ``told`` is a pattern for the whole of what ``knock`` returns where all is well."""

    service: str
    port: int
    protocol: str
    who: str
    told: str
    path: str = ""
    method: str = "GET"


PEOPLE, TASKS = "people, by the roles of docker/doors/roles.json", "tasks, by a token that Airflow signed for each"
INSIDE = "the service itself: it knows no login, so it listens inside alone"
LIFE = "anybody: tells that it lives and nothing else"

DOORS = (
    Door("api-server", 8080, "http", PEOPLE, r"401 .*", "/api/v2/dags"),
    Door("api-server", 8080, "http", PEOPLE, r"401 .*", "/api/v2/dags/none/dagRuns", "POST"),
    Door("api-server", 8080, "http", PEOPLE, r"401 .*", "/api/v2/variables"),
    Door("api-server", 8080, "http", PEOPLE, r"401 .*", "/ui/config"),
    Door("api-server", 8080, "http", PEOPLE, r"401 .*", "/tollgate/"),
    Door("api-server", 8080, "http", PEOPLE, r"302 .*/auth/login/.*", "/auth/users/list/"),
    Door("api-server", 8080, "http", "nobody: without a name and a password there is no token", r"404 .*",
         "/auth/token"),
    Door("api-server", 8080, "http", TASKS, r"401 .*", "/execution/variables/none"),
    Door("api-server", 8080, "http", LIFE, r"200 .*", "/api/v2/monitor/health"),
    Door("mlflow", 5000, "http", "tasks, by one login of theirs; people, who read", r"401 .*",
         "/api/2.0/mlflow/experiments/search", "POST"),
    Door("mlflow", 5000, "http", "tasks alone move an alias, and MLflow's administrator", r"401 .*",
         "/api/2.0/mlflow/registered-models/alias", "POST"),
    Door("mlflow", 5000, "http", "people, who read", r"401 .*", "/"),
    Door("mlflow", 5000, "http", LIFE, r"200 OK", "/health"),
    Door("postgres", 5432, "postgres", "Airflow, MLflow and Optuna, by one password", "asks for SCRAM-SHA-256"),
    Door("redis", 6379, "redis", "Airflow's scheduler and workers, by one password",
         r"-NOAUTH Authentication required\."),
    Door("s3", 8333, "http", "tasks and MLflow, by one pair of keys", r"403 .*AccessDenied.*", "/"),
    Door("s3", 8333, "http", "tasks and MLflow, by one pair of keys", r"403 .*AccessDenied.*", "/tollgate"),
    Door("s3", 18333, "seaweed-iam", "nobody: its key is drawn anew at every start",
         "nobody was made an administrator"),
    *(Door("s3", port, "tcp", INSIDE, CLOSED) for port in (
        9333, 19333, 8081, 18081, 8888, 18888,  # master, volumes, filer, and the gRPC of each
        8080, 8181, 9101, 8111, 7333)),         # not moved away, Iceberg, Lance, IAM, WebDAV
    Door("scheduler", 8974, "tcp", INSIDE, CLOSED),
    Door("worker", 8793, "http", "the API server, by a token a file, for the log of a task that runs", r"403 .*",
         "/log/none"),
    Door("decider", 8793, "http", "the API server, as at a worker", r"403 .*", "/log/none"),
    Door("triggerer", 8794, "http", "the API server, by a token a file, for the log of a deferred task", r"403 .*",
         "/log/none"),
)


def knock(door: Door, address: str) -> str:
    """What the door of the service at ``address`` tells whoever has no login."""
    try:
        return SPOKEN[door.protocol](door, address)
    except (ConnectionRefusedError, requests.ConnectionError):
        return CLOSED


def wrongly_open(door: Door, address: str) -> str | None:
    """None where all is well, else a sentence that says what is not."""
    told = knock(door, address)
    if re.fullmatch(door.told, told, re.DOTALL):
        return None
    return f"{door.service}:{door.port}{door.path} told a stranger {told[:200]!r} instead of {door.told!r}"


def _http(door: Door, address: str) -> str:
    answer = requests.request(door.method, f"http://{address}:{door.port}{door.path}", allow_redirects=False,
                              json={} if door.method == "POST" else None, timeout=PATIENCE,
                              headers={"Host": f"{door.service}:{door.port}"})  # MLflow answers to its own name alone
    return f"{answer.status_code} {answer.headers.get('Location') or answer.text}"


def _tcp(door: Door, address: str) -> str:
    with socket.create_connection((address, door.port), timeout=PATIENCE):
        return "open"


def _redis(door: Door, address: str) -> str:
    with socket.create_connection((address, door.port), timeout=PATIENCE) as link:
        link.sendall(b"KEYS *\r\n")
        return link.recv(200).decode().strip()


def _postgres(door: Door, address: str) -> str:
    asked = {0: "lets in without a password", 3: "asks for the password in the clear", 5: "asks for MD5",
             10: "asks for SCRAM-SHA-256"}
    with socket.create_connection((address, door.port), timeout=PATIENCE) as link:
        hello = struct.pack(">I", 196608) + b"user\0tollgate\0database\0postgres\0\0"
        link.sendall(struct.pack(">I", len(hello) + 4) + hello)
        kind, _, code = struct.unpack(">cII", _exactly(link, 9))
        return asked.get(code, f"asks for {code}") if kind == b"R" else "turns away: no entry for this address"


def _seaweed_iam(door: Door, address: str) -> str:
    """Ask the gateway's gRPC for an administrator of our own, and try to come in as that one."""
    user, key, secret = "burglar", "burglarskey", "burglarssecret"
    credential = _field(1, key.encode()) + _field(2, secret.encode())
    message = _field(1, _field(1, user.encode()) + _field(2, credential) + _field(3, b"Admin"))
    headers = {":method": "POST", ":scheme": "http", ":path": "/messaging_pb.SeaweedS3IamCache/PutIdentity",
               ":authority": address, "content-type": "application/grpc", "te": "trailers"}
    packed = b"".join(b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
                      for name, value in headers.items())
    with socket.create_connection((address, door.port), timeout=PATIENCE) as link:
        link.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b"") + _frame(1, 4, 1, packed)
                     + _frame(0, 1, 1, b"\0" + struct.pack(">I", len(message)) + message))
        kind, flags, stream = 0, 0, 0
        while not (kind == 1 and flags & 1 and stream == 1):  # until the headers that end our call
            length, kind, flags, stream = _frame_head(_exactly(link, 9))
            _exactly(link, length)
    entered = requests.get(f"http://{address}:{door.port - 10_000}/", timeout=PATIENCE,
                           headers=_signed(f"{address}:{door.port - 10_000}", key, secret))
    return f"made an administrator: {entered.text}" if entered.ok else "nobody was made an administrator"


SPOKEN = {"http": _http, "tcp": _tcp, "redis": _redis, "postgres": _postgres, "seaweed-iam": _seaweed_iam}


def _exactly(link: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        more = link.recv(size - len(read))
        if not more:
            raise ConnectionRefusedError("closed in the middle of an answer")
        read += more
    return read


def _field(number: int, value: bytes) -> bytes:
    """One length-delimited field of Protocol Buffers, of less than 128 bytes."""
    assert len(value) < 128
    return bytes([number << 3 | 2, len(value)]) + value


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    """One frame of HTTP/2."""
    return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body


def _frame_head(head: bytes) -> tuple[int, int, int, int]:
    return int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")


def _signed(host: str, key: str, secret: str) -> dict[str, str]:
    """The headers of ``GET /`` signed as AWS says (SigV4), without a library that brings its own credentials."""
    now = datetime.now(UTC)
    stamp, day, empty = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d"), hashlib.sha256(b"").hexdigest()
    scope, names = f"{day}/us-east-1/s3/aws4_request", "host;x-amz-content-sha256;x-amz-date"
    asked = f"GET\n/\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{stamp}\n\n{names}\n{empty}"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    signing = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    signature = hmac.digest(signing, to_sign.encode(), "sha256").hex()
    return {"x-amz-date": stamp, "x-amz-content-sha256": empty, "Authorization":
            f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"}
