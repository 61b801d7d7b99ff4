"""From a process of this machine into an instance of the cluster: namespaces of its own, and only its own files.

Run as a program by ``in_namespaces``, as the first process of new mount, UTS, IPC and PID namespaces. It joins the
cluster's network, puts a root of its own together, and stays as the init process, which hands on signals, buries the
dead and ends with the command it started (as ``init: true`` does in a container). The end of an init process ends
everything in its namespace.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

NEW_NETWORK = 0x40000000  # CLONE_NEWNET of <linux/sched.h>
BRIDGE = "tollgate"
SYSTEM = ("usr", "etc", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
PASSWD = ("root:x:0:0::/root:/bin/sh\ntollgate:x:1000:1000::/home/tollgate:/bin/sh\n"
          "nobody:x:65534:65534::/nonexistent:/bin/false\n")
GROUP = "root:x:0:\ntollgate:x:1000:\nnogroup:x:65534:\n"
AS_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


@dataclass(frozen=True)
class Bind:
    """A folder or file of this machine, and where the instance finds it."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Spec:
    """One instance.

    Attributes:
        address: on the cluster's network, as 10.89.0.2/24; with none it stays on the network it is started in.
        hosts: the names it knows, by address.
        whole_machine: it sees all of this machine's files, not the system's alone, and keeps its user.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str
    binds: tuple[Bind, ...] = ()
    address: str = ""
    hosts: Mapping[str, str] = field(default_factory=dict)
    whole_machine: bool = False


def in_namespaces(spec: Spec, folder: Path) -> list[str]:
    """The command line that starts an instance; it ends with the process that starts it.

    Args:
        folder: where its specification may be kept; readable to us alone, for it holds secrets.
    """
    kept = folder / f"{spec.name}.json"
    kept.touch(mode=0o600)
    kept.write_text(json.dumps(asdict(spec)), encoding="utf-8")
    return ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child",
            sys.executable, "-I", __file__, str(kept)]


def _main(path: str) -> int:
    spec = json.loads(Path(path).read_text(encoding="utf-8"))
    os.environ["PATH"] = f"{os.environ.get('PATH', '/usr/bin')}:/usr/sbin:/sbin"  # mount's kind is not on everybody's
    if spec["address"]:
        _join_network(spec["name"], spec["address"])
    socket.sethostname(spec["name"])
    root = Path(path).parent / "root"
    root.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "tmpfs", str(root))
    _system(root, bool(spec["whole_machine"]))
    for name, content in (("hosts", _hosts(spec["hosts"])), ("passwd", PASSWD), ("group", GROUP)):
        if not spec["whole_machine"]:
            (root / f".{name}").write_text(content, encoding="utf-8")
            _mount("--bind", str(root / f".{name}"), str(root / "etc" / name))
    for bind in spec["binds"]:
        _bind(root, bind["source"], bind["target"], bind["read_only"])
    _mount("-t", "proc", "proc", str(root / "proc"))
    _make_root(root)
    os.chdir(spec["cwd"])
    return _init(spec["command"] if spec["whole_machine"] else [*AS_USER, *spec["command"]], spec["environment"])


def _join_network(name: str, address: str) -> None:
    """A network namespace of our own, by a cable to the bridge of the one we were started in."""
    from pyroute2 import IPRoute

    outer = IPRoute()
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "a network namespace of its own was refused")
    inner, cable = IPRoute(), name[:15]
    with open("/proc/self/ns/net", "rb") as here:  # noqa: PTH123
        outer.link("add", ifname=cable, kind="veth", peer={"ifname": "eth0", "net_ns_fd": here.fileno()})
    outer.link("set", index=_index(outer, cable), master=_index(outer, BRIDGE), state="up")
    for device in ("lo", "eth0"):
        inner.link("set", index=_index(inner, device), state="up")
    host, _, length = address.partition("/")
    inner.addr("add", index=_index(inner, "eth0"), address=host, prefixlen=int(length))


def _index(network: Any, device: str) -> int:
    return int(network.link_lookup(ifname=device)[0])


def _system(root: Path, whole: bool) -> None:
    """The system's folders, and nothing of what people keep on this machine unless ``whole`` says so."""
    names = [path.name for path in sorted(Path("/").iterdir())] if whole else list(SYSTEM)
    for name in names:
        place = Path("/") / name
        if place.is_symlink():
            (root / name).symlink_to(place.readlink())
        elif place.is_dir() and name not in ("proc", "dev", "opt"):
            _bind(root, str(place), str(place), not whole)
    for name in ("proc", "opt") if whole else ("proc", "tmp", "run", "var/tmp", "home/tollgate", "opt"):
        (root / name).mkdir(parents=True, exist_ok=True)
    if not whole:
        (root / "tmp").chmod(0o1777)
    for path in sorted(Path("/opt").iterdir()) if whole and Path("/opt").is_dir() else []:
        if path.is_dir() and not path.is_symlink():
            _bind(root, str(path), str(path), False)
    _bind(root, "/dev", "/dev", False)
    if not whole:  # the interpreter, wherever it was installed
        base = str(Path(sys.base_prefix).resolve())
        if not base.startswith("/usr"):
            _bind(root, base, base, True)


def _bind(root: Path, source: str, target: str, read_only: bool) -> None:
    place = root / target.lstrip("/")
    if Path(source).is_dir():
        place.mkdir(parents=True, exist_ok=True)
    elif not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    _mount("--rbind", source, str(place))
    if read_only:  # what the mount below does not allow stays so
        flags = {"nosuid": os.ST_NOSUID, "nodev": os.ST_NODEV, "noexec": os.ST_NOEXEC}
        kept = [name for name, flag in flags.items() if os.statvfs(place).f_flag & flag]
        _mount("-o", ",".join(["remount", "bind", "ro", *kept]), str(place))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _make_root(root: Path) -> None:
    """Make ``root`` the root of everything here; not by chroot, in which the kernel allows no user namespace."""
    (root / ".old").mkdir()
    subprocess.run(["pivot_root", ".", ".old"], cwd=root, check=True)
    os.chdir("/")
    subprocess.run(["umount", "--lazy", "/.old"], check=True)
    Path("/.old").rmdir()


def _hosts(names: Mapping[str, str]) -> str:
    return "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in names.items())


def _init(command: list[str], environment: dict[str, str]) -> int:
    """Run the command as the only charge of an init process; its exit code."""
    child = os.fork()
    if child == 0:
        try:
            os.execvpe(command[0], command, environment)
        except OSError as err:
            print(f"{command[0]}: {err.strerror}", file=sys.stderr, flush=True)
            os._exit(127)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, lambda got, _: os.kill(child, got))
    while True:
        ended, status = os.wait()
        if ended == child:
            return os.waitstatus_to_exitcode(status) % 256


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
