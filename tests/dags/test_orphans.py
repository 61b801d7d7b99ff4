"""Nothing that a task has started lives on beside its retry, whichever process of the chain is killed."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest
import scratch
from scratch import BIN, Scratch
from tests.processes import places

from tollgate.config import PROJECT

RUN = "weekly"
TASK = """
import asyncio, os, sys
sys.path.insert(0, sys.argv.pop(1))
from tollgate_airflow.process import Child, ask
door = {"child": lambda command: Child(command).answer(), "ask": lambda command: asyncio.run(ask(command))}
if not os.fork():
    try:
        door[sys.argv[1]](sys.argv[2:])
    except Exception as failed:
        print(failed, file=sys.stderr, flush=True)
    finally:
        os._exit(9)
os.wait()
"""
# The stage says who it is and whom it has started beside its group, and then hangs; its report ends when it does.
HANGING = """
    import os, signal, subprocess
    nothing = subprocess.DEVNULL
    apart = subprocess.Popen(["sleep", "600"], start_new_session=True, stdin=nothing, stdout=nothing, stderr=nothing)
    with open({told!r}, "w") as out:
        out.write(f"{{os.getpid()}} {{apart.pid}}\\n")
        out.flush()
        signal.pause()
"""


@dataclass(frozen=True)
class Chain:
    """A task in the middle of a stage: its processes by what they are."""

    supervisor: psutil.Process
    task: psutil.Process
    command: psutil.Process
    stage: psutil.Process
    apart: psutil.Process

    def below(self) -> list[psutil.Process]:
        """The command and all that it has started."""
        return [self.command, *self.command.children(recursive=True), self.apart]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    """A project whose first stage hangs."""
    made = scratch.make(tmp_path_factory.mktemp("orphans") / "project", book="consumer")
    (made.folder / "include").unlink()
    code = shutil.copytree(PROJECT / "include", made.folder / "include") / "tollgate" / "stages.py"
    os.mkfifo(made.folder / "told")
    said = '    """The exact training rows."""\n'
    assert said in code.read_text()
    code.write_text(code.read_text().replace(said, said + HANGING.format(told=str(made.folder / "told"))))
    made.ask("run", "open", RUN, "--book", "consumer", "--as-of", "2007-01-01")
    yield made
    made.stop()


@pytest.fixture(params=["child", "ask"])
def chain(project: Scratch, request: pytest.FixtureRequest) -> Iterator[Chain]:
    """Started through the operator's door, and through that of the triggers."""
    clean = {name: value for name, value in os.environ.items() if name not in places()}
    settings = {**project.places, "TOLLGATE_BIN": str(BIN / "tollgate"), "PYTHONPATH": str(project.folder / "include")}
    # Opened without waiting: a stage that fails before it tells anything would be waited for for ever.
    with os.fdopen(os.open(project.folder / "told", os.O_RDONLY | os.O_NONBLOCK)) as told:
        task = subprocess.Popen([sys.executable, "-c", TASK, PROJECT / "plugins", request.param, "run", "stage", RUN,
                                 "snapshot"], env={**clean, **settings}, stderr=subprocess.PIPE, text=True)
        supervisor = psutil.Process(task.pid)
        while not select.select([told], [], [], 0.2)[0]:
            assert task.poll() is None, task.communicate()[1]
        os.set_blocking(told.fileno(), True)
        stage, apart = (psutil.Process(int(number)) for number in told.readline().split())
    (runner,) = supervisor.children()
    found = Chain(supervisor, runner, next(child for child in runner.children() if child in stage.parents()), stage,
                  apart)
    everything = [supervisor, runner, *found.below()]
    try:
        yield found
    finally:
        for process in everything:
            if process.is_running():
                process.send_signal(signal.SIGKILL)
        task.wait()


@pytest.mark.parametrize("killed", ["supervisor", "task"])
def test_a_task_that_is_killed_takes_its_command_and_all_below_it_with_it(chain: Chain, killed: str) -> None:
    below = chain.below()
    assert chain.stage in below and len(below) >= 3
    getattr(chain, killed).send_signal(signal.SIGKILL)
    assert psutil.wait_procs(below, timeout=60)[1] == []


@pytest.mark.parametrize("chain", ["child"], indirect=True)
def test_a_command_that_is_killed_takes_its_stage_with_it_and_the_task_goes_on_to_its_retry(chain: Chain) -> None:
    chain.command.send_signal(signal.SIGKILL)
    assert psutil.wait_procs([chain.stage, chain.supervisor], timeout=60)[1] == []


def test_a_command_that_nobody_waits_for_minds_no_closed_input(project: Scratch) -> None:
    for stdin in (subprocess.DEVNULL, subprocess.PIPE):
        clean = {name: value for name, value in os.environ.items() if name not in places()}
        child = subprocess.Popen([BIN / "tollgate", "requests", "list"], stdin=stdin, stdout=subprocess.PIPE,
                                 env={**clean, **project.places})
        assert child.communicate()[0], "an answer"
        assert child.returncode == 0
