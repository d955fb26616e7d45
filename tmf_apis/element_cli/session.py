"""A session of an engineer with one element: its operations, and their exit codes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import click

from adapters import base, planning
from adapters.base import Adapter
from adapters.credentials import Credentials
from adapters.errors import (
    Conflict,
    ElementError,
    Misconfigured,
    NotVerified,
    PartiallyApplied,
    Rejected,
    Unreachable,
)
from adapters.values import Intent, Plan, Target, Transaction, Verdict
from tmf_apis.element_access.access_policy import COMMAND_LINE, create_adapter
from tmf_apis.element_access.element_leases import ElementBusy, ElementLeases
from tmf_apis.element_cli import output
from tmf_apis.element_cli.transaction_store import (
    STATE_APPLIED,
    STATE_NOT_AS_INTENDED,
    STATE_ROLLED_BACK,
    STATE_STOPPED,
    TransactionRecord,
    TransactionStore,
)

T = TypeVar("T")
EXIT_OK, EXIT_FAILED, EXIT_WRONG_STATE = 0, 1, 3
EXIT_UNREACHABLE, EXIT_CONFLICT, EXIT_PARTIAL = 4, 5, 6
#: Time after which an element with confirmed commits reverts an unconfirmed change, in seconds.
CONFIRM_TIMEOUT = 60.0

#: Exit code and advice by class of error; the first class that matches is used.
ADVICE: tuple[tuple[type[ElementError], int, str], ...] = (
    (PartiallyApplied, EXIT_PARTIAL, "part of the change is on the element"),
    (
        NotVerified,
        EXIT_WRONG_STATE,
        "the element reported success without making the change: check the element itself",
    ),
    (Conflict, EXIT_CONFLICT, "it was changed meanwhile: check the element, then plan again"),
    (
        Unreachable,
        EXIT_UNREACHABLE,
        "check that it runs, and check its address and the name of its credentials",
    ),
    (ElementBusy, EXIT_CONFLICT, "orders change it: try again later"),
    (Misconfigured, EXIT_FAILED, "correct the inventory, the credentials or the command line"),
    (Rejected, EXIT_FAILED, "the element or its adapter refuses this; do not repeat it"),
)


class ElementSession:
    """A session of an engineer with one element.

    Attributes:
        target: The element.
        exit_code: Exit code of the last operation.
    """

    def __init__(
        self, target: Target, credentials: Credentials, leases: ElementLeases | None
    ) -> None:
        self.target, self._credentials, self._leases = target, credentials, leases
        self.exit_code = EXIT_OK

    def query(self, operation: Callable[[Adapter], Awaitable[T]]) -> T:
        """Run an operation of the adapter and return its result."""

        async def run() -> T:
            async with await self._connect() as adapter:
                return await operation(adapter)

        return asyncio.run(run())

    def plan(self, intent: Intent) -> Plan:
        """Print the plan of an intent and return it."""
        plan = self.query(lambda adapter: adapter.plan(intent))
        output.print_plan(plan)
        return plan

    def apply(
        self, intent: Intent, records: TransactionStore, *, confirm: Callable[[], bool]
    ) -> None:
        """Print a plan; if the engineer confirms, apply, verify and record it."""
        plan = self.plan(intent)
        if plan.steps and not confirm():
            click.echo("nothing was changed")
            self.exit_code = EXIT_FAILED
            return
        if plan.steps:
            self._execute(plan, records)
        else:
            self.verify(intent)

    def _execute(self, plan: Plan, records: TransactionStore) -> None:
        record = records.begin(self.target, plan)
        click.echo(f"transaction {record.id}")
        try:
            transaction = asyncio.run(self._apply(plan))
        except PartiallyApplied as error:
            records.save(record, transaction=error.transaction, state=STATE_STOPPED)
            _print_rollback_hint(record)
            raise
        except (Unreachable, KeyboardInterrupt):
            _print_rollback_hint(record)
            raise
        except ElementError:
            records.save(
                record, transaction=Transaction(plan.element, plan.intent), state=STATE_ROLLED_BACK
            )
            click.echo("nothing was changed", err=True)
            raise
        verdict = self.verify(plan.intent)
        is_verified, transaction = verdict.good, planning.with_stored(transaction, verdict)
        state = STATE_APPLIED if is_verified else STATE_NOT_AS_INTENDED
        record = records.save(record, transaction=transaction, state=state)
        if is_verified and transaction.token:
            self.query(lambda adapter: adapter.confirm(transaction))
        click.echo(f"to undo the change: tmf element rollback {record.id}")

    async def _connect(self) -> Adapter:
        return await create_adapter(self.target, self._credentials, COMMAND_LINE)

    async def _apply(self, plan: Plan) -> Transaction:
        lease = self._leases.hold(self.target.name) if self._leases else nullcontext()
        async with lease, await self._connect() as adapter:
            confirm_within = CONFIRM_TIMEOUT if base.CONFIRMED in adapter.capabilities else None
            return await adapter.apply(plan, confirm_within=confirm_within)

    def verify(self, intent: Intent) -> Verdict:
        """Print whether the element has the desired state, and return the verdict."""
        verdict = self.query(lambda adapter: adapter.verify(intent))
        output.print_verdict(verdict)
        self.exit_code = EXIT_OK if verdict.good else EXIT_WRONG_STATE
        return verdict

    def roll_back(self, record: TransactionRecord, records: TransactionStore) -> None:
        """Roll back a transaction and record its new state."""
        self.query(lambda adapter: adapter.rollback(record.transaction))
        records.save(record, state=STATE_ROLLED_BACK)
        click.echo(f"transaction {record.id} is rolled back")


def _print_rollback_hint(record: TransactionRecord) -> None:
    click.echo(
        f"the steps that were done are recorded; to undo them: tmf element rollback {record.id}",
        err=True,
    )


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Print an error of the element with advice, and exit with the code of its class."""
    try:
        yield
    except ElementError as error:
        code, advice = next(
            ((code, advice) for cls, code, advice in ADVICE if isinstance(error, cls)),
            (EXIT_FAILED, ""),
        )
        click.secho(f"Error: {error}", fg="red", err=True)
        if advice:
            click.echo(advice, err=True)
        raise click.exceptions.Exit(code) from None
