"""The operator that every DAG is wired from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, AirflowTaskTimeout

from tollgate_airflow.incidents import GateRefused
from tollgate_airflow.links import GateReport
from tollgate_airflow.process import REFUSED, Child, CommandFailed


class TollgateOperator(BaseOperator):
    """Run one ``tollgate`` command and return its answer.

    Args:
        command: the verb and its positional arguments; templated, never dropped.
        options: ``--name=value`` for each entry; templated; an entry that renders to nothing is left out.
        item: what a mapped task is about; its ``name`` is shown in the grid.
        each: the keys of ``item`` whose values follow ``command``.
        returns: the list in the answer to return, for a task to be mapped over it; the whole answer is then
            under the XCom key ``answer``.
        partition: the partition key of the asset event, templated with the ``answer``; no event where it renders
            to nothing. The event carries it and every plain value of the answer as its ``extra``. With several outlets,
            called KIND/BOOK, the event goes to those whose kind is among the answer's ``assets``.
        only_if: templated; the task is skipped where it renders to nothing.
        events: the list in the answer of which each entry is announced as an answer of its own. A refusal then comes
            with the answer of what was done all the same, which a later task looks at: Airflow forgets the events of a
            task that fails.

    Raises:
        AirflowSkipException: there is nothing to do.
        AirflowFailException: bad input or a refusal (exit codes 2 and 3), where a retry will not help.
        AirflowTaskTimeout: the command had not ended within the task's ``execution_timeout``.
        AirflowException: anything else.
    """

    template_fields: Sequence[str] = ("command", "options", "only_if")
    ui_color = "#e8f0e4"
    outlets: list[Any]

    def __init__(self, *, command: list[str], options: dict[str, str] | None = None, item: dict[str, Any] | None = None,
                 each: Sequence[str] = (), returns: str | None = None, partition: str | None = None,
                 only_if: str | None = None, events: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.options = options or {}
        self.item = item
        self.each = each
        self.returns = returns
        self.partition = partition
        self.only_if = only_if
        self.events = events
        self._child: Child | None = None

    def execute(self, context: Any) -> Any:
        """Run the command to its end."""
        if self.only_if == "":
            raise AirflowSkipException("There is nothing to do.")
        arguments = [*self.command, *(str((self.item or {})[key]) for key in self.each),
                     *(f"--{name}={value}" for name, value in self.options.items() if value)]
        self.log.info("tollgate %s", " ".join(arguments))
        self._child = Child(arguments, say=self.log.info)
        try:
            answer = self._child.answer()
        except CommandFailed as failure:
            if self.events is None or failure.answer is None:
                raise self.fault_of(failure)(str(failure)) from None
            self.log.error("%s", failure)
            answer = failure.answer
        except AirflowTaskTimeout:
            raise AirflowTaskTimeout(
                f"tollgate {' '.join(self.command)} had not ended within {self.execution_timeout}, and was ended with "
                "all that it had started. The lines above say how far it came.") from None
        self._announce(context, answer)
        if self.returns is None:
            return answer
        context["ti"].xcom_push(key="answer", value=answer)
        return answer[self.returns]

    def fault_of(self, failure: CommandFailed) -> type[AirflowException]:
        """What to raise for a command that did not end well."""
        return AirflowException if failure.passing else AirflowFailException

    def on_kill(self) -> None:
        """End the child and everything that it started."""
        if self._child is not None:
            self._child.stop()

    def _announce(self, context: Any, answer: dict[str, Any]) -> None:
        announced = []
        for told in [answer] if self.events is None else answer.get(self.events, []):
            partition = self.render_template(self.partition or "", {**context, "answer": told})
            for asset in self.outlets if partition else []:
                kind = asset.name.partition("/")[0]
                if kind in told.get("assets", [kind]):
                    event = context["outlet_events"][asset]
                    event.add_partitions(partition)
                    plain = {key: value for key, value in told.items() if isinstance(value, str | int | float)}
                    event.extra = {**plain, "partition": partition}
                    announced.append(asset)
        self.outlets = [asset for asset in self.outlets if asset in announced]


class RefusedFiles(BaseOperator):
    """Red when a file could not be taken in, with the reason of each; ``answer`` is that of `ingest files`."""

    template_fields: Sequence[str] = ("answer",)

    def __init__(self, *, answer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answer = answer

    def execute(self, context: Any) -> None:
        """Raise ``AirflowFailException`` when there is one."""
        faults = [_fault(self.answer["book"], file["name"], file["why"])
                  for level in ("refused", "unreadable") for file in self.answer[level]]
        for fault in faults:
            self.log.error("%s", fault)
        if faults:
            more = f" And {len(faults) - 1} more: see the lines above." if len(faults) > 1 else ""
            raise AirflowFailException(f"{faults[0]}{more}")


def _fault(book: str, name: str, why: str) -> str:
    """Why a file was not taken in; its name stands before a reason that does not hold it."""
    return f"{book}: {why}" if name in why else f"{book} {name}: {why}"


class GateOperator(TollgateOperator):
    """A task that acts on the gates of its run; its page has a button to their report."""

    operator_extra_links = (GateReport(),)

    def fault_of(self, failure: CommandFailed) -> type[AirflowException]:
        """A refusal is told as one, whichever task of the run says so first."""
        return GateRefused if failure.exit_code == REFUSED else super().fault_of(failure)
