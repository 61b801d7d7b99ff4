"""docker-compose.yml and its .env, read as the Compose specification says, as frozen objects. Pure but for the reading.

What is not understood is refused: a key that is passed over would be a difference that nobody knows of.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tollgate.errors import BadInput

EXAMPLE = "replace-me"
KEYS = {"image", "build", "init", "restart", "environment", "command", "entrypoint", "volumes", "healthcheck", "ports",
        "depends_on", "deploy", "stop_grace_period", "stop_signal", "working_dir"}
FORMS = {"environment": dict, "depends_on": dict, "deploy": dict, "healthcheck": dict, "ports": list, "volumes": list}
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:\?|:-)(?P<word>[^}]*))?\}|(?P<other>\S*))")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|[hms])")


@dataclass(frozen=True)
class Health:
    """How a service tells that it is well; times in seconds."""

    test: tuple[str, ...]
    interval: float
    timeout: float
    retries: int
    start_period: float


@dataclass(frozen=True)
class Mount:
    """What lies at ``target``: a named volume, or a file of the repository (``source`` begins with ``./``)."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True)
class Port:
    """``host``:``outside`` leads to port ``inside`` of the service."""

    host: str
    outside: int
    inside: int


@dataclass(frozen=True)
class Service:
    """One service of the file. ``after`` names the services that it waits for, and until when."""

    name: str
    image: str
    ours: bool
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    ports: tuple[Port, ...]
    after: Mapping[str, str]
    health: Health | None
    replicas: int
    restart: str
    grace: float
    stop_signal: str
    folder: str

    @property
    def instances(self) -> list[str]:
        """The names of its processes: the service's own, numbered where there are several."""
        return [self.name] if self.replicas == 1 else [f"{self.name}-{k + 1}" for k in range(self.replicas)]


def read_environment(path: Path, shell: Mapping[str, str]) -> dict[str, str]:
    """The variables of a .env file (quotes, comments and CRLF as Compose reads them); those of the shell win.

    Raises:
        BadInput: the file is missing, is not UTF-8, or still holds a value of the example.
    """
    from dotenv import dotenv_values

    try:
        found = {name: value or "" for name, value in dotenv_values(path, interpolate=False).items()}
    except UnicodeDecodeError:
        raise BadInput(f"{path.name} is not UTF-8", value=path, remedy="Save it as UTF-8.") from None
    if not path.exists():
        raise BadInput("There is no .env", value=path, remedy="Copy .env.example to .env and replace its values.")
    found |= {name: shell[name] for name in shell if name in found}
    if unchanged := sorted(name for name, value in found.items() if value == EXAMPLE):
        raise BadInput(f"{path.name} still holds the example's value for {', '.join(unchanged)}", value=EXAMPLE,
                       remedy="Replace every value as the file says, or remove the file: `make cluster` makes one.")
    return {**found, **{name: value for name, value in shell.items() if name not in found}}


def read_topology(path: Path, variables: Mapping[str, str]) -> dict[str, Service]:
    """The services of a compose file, by name.

    Raises:
        BadInput: the file is no compose file that we understand whole, or asks for a variable that is not set; every
            such variable is named.
    """
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        services = raw["services"]
        services.items()
    except (OSError, yaml.YAMLError, AttributeError, TypeError, KeyError) as err:
        raise BadInput(f"{path.name} could not be read", value=str(err).replace("\n", " ")[:200],
                       remedy="Compare it with the file that the project ships.") from None
    unset: dict[str, str] = {}
    filled = {name: _filled(body, variables, unset) for name, body in services.items()}
    if unset:
        raise BadInput(f"{path.name} asks for variables that are not set or empty: {', '.join(sorted(unset))}",
                       value="; ".join(sorted({word for word in unset.values() if word})) or None,
                       remedy="Set them in .env.")
    return {name: _understood(name, body) for name, body in filled.items()}


def _filled(node: Any, variables: Mapping[str, str], unset: dict[str, str]) -> Any:
    """``node`` with its variables replaced; those that must be set and are not are added to ``unset``."""

    def value_of(match: re.Match[str]) -> str:
        name, how, word = match["name"], match["how"], match["word"]
        if match["other"] is not None:
            raise BadInput("A variable is written in a way that `make cluster` does not know", value=match[0],
                           remedy="Write ${NAME}, ${NAME:-what else} or ${NAME:?why it must be set}; $$ is a dollar.")
        if name is None:
            return "$"
        value = variables.get(name, "")
        if not value and how == ":-":
            return str(word)
        if not value and how == ":?":
            unset[name] = word
        return value

    if isinstance(node, str):
        return VARIABLE.sub(value_of, node)
    if isinstance(node, list):
        return [_filled(item, variables, unset) for item in node]
    if isinstance(node, dict):
        return {key: _filled(item, variables, unset) for key, item in node.items()}
    return node


def _understood(name: str, body: Any) -> Service:
    try:
        return _service(name, body)
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        raise BadInput(f"The service {name} is written in a way that `make cluster` does not know", value=err,
                       remedy="Write it as the file does that the project ships: Compose has several forms for one "
                              "thing, and only those are read.") from None


def _service(name: str, body: dict[str, Any]) -> Service:
    if strange := sorted(set(body) - KEYS):
        raise BadInput(f"The service {name} has keys that `make cluster` does not know: {', '.join(strange)}",
                       value=name, remedy="Teach tollgate/cluster/compose.py what they mean, or leave them out.")
    if other := [key for key, form in FORMS.items() if not isinstance(body.get(key) or form(), form)]:
        raise ValueError(f"{', '.join(other)}: another form than a {FORMS[other[0]].__name__}")
    waits = body.get("depends_on") or {}
    return Service(
        name=name, image=str(body.get("image", "")), ours="build" in body,
        entrypoint=_words(body.get("entrypoint")), command=_words(body.get("command")),
        environment={key: _plain(value) for key, value in (body.get("environment") or {}).items()},
        mounts=tuple(_mount(text) for text in body.get("volumes") or []),
        ports=tuple(_port(name, text) for text in body.get("ports") or []),
        after={other: rule["condition"] for other, rule in waits.items()},
        health=_health(body["healthcheck"]) if "healthcheck" in body else None,
        replicas=int((body.get("deploy") or {}).get("replicas", 1)), restart=str(body.get("restart", "no")),
        grace=_seconds(body.get("stop_grace_period", "10s")), stop_signal=str(body.get("stop_signal", "SIGTERM")),
        folder=str(body.get("working_dir", "")))


def _words(told: Any) -> tuple[str, ...]:
    return tuple(shlex.split(told)) if isinstance(told, str) else tuple(str(word) for word in told or ())


def _plain(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _mount(text: str) -> Mount:
    source, target, *how = text.split(":")
    return Mount(source, target, "ro" in how)


def _port(name: str, text: Any) -> Port:
    try:
        host, outside, inside = str(text).split(":")
        port = Port(host, int(outside), int(inside))
    except ValueError:
        raise BadInput(f"The ports of {name} must be written HOST:PORT:PORT", value=text,
                       remedy="Name the address too: a port without one is open to the whole network.") from None
    if not 0 < port.outside < 65536:
        raise BadInput(f"A port of {name} is no port number", value=port.outside,
                       remedy="Use a free port such as 18080.")
    return port


def _health(body: dict[str, Any]) -> Health:
    test: tuple[str, ...]
    match body["test"]:
        case ["CMD-SHELL", line]:
            test = ("sh", "-c", line)
        case ["CMD", *words]:
            test = tuple(str(word) for word in words)
        case other:
            raise ValueError(f"healthcheck: test: {other}")
    return Health(test, _seconds(body.get("interval", "30s")), _seconds(body.get("timeout", "30s")),
                  int(body.get("retries", 3)), _seconds(body.get("start_period", "0s")))


def _seconds(text: Any) -> float:
    """A duration of Compose, such as 90s or 1m30s, in seconds."""
    found = DURATION.findall(str(text))
    if not found or DURATION.sub("", str(text)):
        raise ValueError(f"{text} is no duration such as 90s")
    return sum(float(number) * SECONDS[unit] for number, unit in found)
