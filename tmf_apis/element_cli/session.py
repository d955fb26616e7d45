"""What an engineer does to an element, each with the exit code that tells how it went."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import click

from adapters import base, registry
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
from adapters.values import Intent, Plan, Target, Transaction
from tmf_apis.element_access.element_leases import ElementLeases
from tmf_apis.element_cli import output
from tmf_apis.element_cli.transaction_store import (
    STATE_APPLIED,
    STATE_NOT_AS_INTENDED,
    STATE_ROLLED_BACK,
    STATE_STOPPED,
    TransactionRecord,
    TransactionStore,
)

EXIT_OK, EXIT_FAILED, EXIT_WRONG_STATE, EXIT_UNREACHABLE, EXIT_CONFLICT, EXIT_PARTIAL = (
    0,
    1,
    3,
    4,
    5,
    6,
)
#: Seconds after which an element that can takes back by itself what was not confirmed.
CONFIRM_TIMEOUT = 60.0

#: What helps, by the kind of error; the first that fits is said.
ADVICE: tuple[tuple[type[ElementError], int, str], ...] = (
    (PartiallyApplied, EXIT_PARTIAL, "part of the change is on the element"),
    (
        NotVerified,
        EXIT_WRONG_STATE,
        "the element says it did and has not: look at the element itself",
    ),
    (Conflict, EXIT_CONFLICT, "somebody changed it meanwhile: look at it, then plan again"),
    (
        Unreachable,
        EXIT_UNREACHABLE,
        "check that it runs, its address, and the name of its credentials",
    ),
    (Misconfigured, EXIT_FAILED, "mend the inventory, the credentials or the command line"),
    (Rejected, EXIT_FAILED, "the element or its adapter refuses this; asking again does not help"),
)


class ElementSession:
    """One element and the engineer before it.

    Attributes:
        exit_code: Exit code.
    """

    def __init__(
        self, target: Target, credentials: Credentials, leases: ElementLeases | None
    ) -> None:
        self.target, self._credentials, self._leases = target, credentials, leases
        self.exit_code = EXIT_OK

    def query(self, operation: Callable[[Adapter], Any]) -> Any:  # noqa: ANN401 - what ``look`` returns
        """Return what the element answers."""

        async def ask() -> Any:  # noqa: ANN401
            async with registry.create_adapter(self.target, self._credentials) as adapter:
                return await operation(adapter)

        return asyncio.run(ask())

    def plan(self, intent: Intent) -> Plan:
        """Show what would have to be changed; nothing is touched."""
        plan: Plan = self.query(lambda adapter: adapter.plan(intent))
        output.print_plan(plan)
        return plan

    def apply(
        self, intent: Intent, records: TransactionStore, *, confirm: Callable[[], bool]
    ) -> None:
        """Show a plan, and where the engineer agrees do it, verify it and keep it."""
        plan = self.plan(intent)
        if plan.steps and not confirm():
            click.echo("nothing was touched")
            self.exit_code = EXIT_FAILED
            return
        if plan.steps:
            self._execute(plan, records)
        else:
            self._verify(intent)

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
        good = self._verify(plan.intent)
        record = records.save(
            record, transaction=transaction, state=STATE_APPLIED if good else STATE_NOT_AS_INTENDED
        )
        if good and transaction.token:
            self.query(lambda adapter: adapter.confirm(transaction))
        click.echo(f"to take it back: tmf element rollback {record.id}")

    async def _apply(self, plan: Plan) -> Transaction:
        lease = self._leases.hold(self.target.name) if self._leases else nullcontext()
        async with lease, registry.create_adapter(self.target, self._credentials) as adapter:
            within = CONFIRM_TIMEOUT if base.CONFIRMED in adapter.capabilities else None
            return await adapter.apply(plan, confirm_within=within)

    def _verify(self, intent: Intent) -> bool:
        found = self.query(lambda adapter: adapter.verify(intent))
        output.print_verdict(found)
        self.exit_code = EXIT_OK if found.good else EXIT_WRONG_STATE
        return bool(found.good)

    def verify(self, intent: Intent) -> None:
        """Show whether the element is as asked."""
        self._verify(intent)

    def roll_back(self, record: TransactionRecord, records: TransactionStore) -> None:
        """Take a transaction back."""
        self.query(lambda adapter: adapter.rollback(record.transaction))
        records.save(record, state=STATE_ROLLED_BACK)
        click.echo(f"transaction {record.id} is rolled back")


def _print_rollback_hint(record: TransactionRecord) -> None:
    click.echo(
        f"what was done of it is kept; to take it back: tmf element rollback {record.id}", err=True
    )


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Say what failed and what helps, in two lines, and exit with the code of its kind."""
    try:
        yield
    except ElementError as error:
        code, advice = next(
            ((code, advice) for kind, code, advice in ADVICE if isinstance(error, kind)),
            (EXIT_FAILED, ""),
        )
        click.secho(f"Error: {error}", fg="red", err=True)
        if advice:
            click.echo(advice, err=True)
        raise click.exceptions.Exit(code) from None
