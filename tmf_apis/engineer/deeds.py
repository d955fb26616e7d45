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
from tmf_apis.elements.leasing import Leasing
from tmf_apis.engineer import showing
from tmf_apis.engineer.records import (
    APPLIED,
    STOPPED,
    UNDONE,
    WRONG,
    Record,
    Records,
)

DONE, FAILED, WRONG_STATE, NO_ANSWER, CONFLICT, HALF = 0, 1, 3, 4, 5, 6
#: Seconds after which an element that can takes back by itself what was not confirmed.
CONFIRM = 60.0

#: What helps, by the kind of error; the first that fits is said.
ADVICE: tuple[tuple[type[ElementError], int, str], ...] = (
    (PartiallyApplied, HALF, "part of the change is on the element"),
    (NotVerified, WRONG_STATE, "the element says it did and has not: look at the element itself"),
    (Conflict, CONFLICT, "somebody changed it meanwhile: look at it, then plan again"),
    (Unreachable, NO_ANSWER, "check that it runs, its address, and the name of its credentials"),
    (Misconfigured, FAILED, "mend the inventory, the credentials or the command line"),
    (Rejected, FAILED, "the element or its adapter refuses this; asking again does not help"),
)


class Console:
    """One element and the engineer before it.

    Attributes:
        code: Exit code.
    """

    def __init__(self, target: Target, credentials: Credentials, leasing: Leasing | None) -> None:
        self.target, self._credentials, self._leasing = target, credentials, leasing
        self.code = DONE

    def see(self, look: Callable[[Adapter], Any]) -> Any:  # noqa: ANN401 - what ``look`` returns
        """Return what the element answers."""

        async def ask() -> Any:  # noqa: ANN401
            async with registry.connect(self.target, self._credentials) as adapter:
                return await look(adapter)

        return asyncio.run(ask())

    def plan(self, intent: Intent) -> Plan:
        """Show what would have to be changed; nothing is touched."""
        plan: Plan = self.see(lambda adapter: adapter.plan(intent))
        showing.difference(plan)
        return plan

    def apply(self, intent: Intent, records: Records, *, agreed: Callable[[], bool]) -> None:
        """Show a plan, and where the engineer agrees do it, verify it and keep it."""
        plan = self.plan(intent)
        if plan.steps and not agreed():
            click.echo("nothing was touched")
            self.code = FAILED
            return
        if plan.steps:
            self._do(plan, records)
        else:
            self._verify(intent)

    def _do(self, plan: Plan, records: Records) -> None:
        record = records.begin(self.target, plan)
        click.echo(f"transaction {record.id}")
        try:
            transaction = asyncio.run(self._applied(plan))
        except PartiallyApplied as error:
            records.keep(record, transaction=error.transaction, state=STOPPED)
            _hint(record)
            raise
        except (Unreachable, KeyboardInterrupt):
            _hint(record)
            raise
        except ElementError:
            records.keep(record, transaction=Transaction(plan.element, plan.intent), state=UNDONE)
            click.echo("nothing was changed", err=True)
            raise
        good = self._verify(plan.intent)
        record = records.keep(record, transaction=transaction, state=APPLIED if good else WRONG)
        if good and transaction.token:
            self.see(lambda adapter: adapter.confirm(transaction))
        click.echo(f"to take it back: tmf element rollback {record.id}")

    async def _applied(self, plan: Plan) -> Transaction:
        lease = self._leasing.held(self.target.name) if self._leasing else nullcontext()
        async with lease, registry.connect(self.target, self._credentials) as adapter:
            within = CONFIRM if base.CONFIRMED in adapter.capabilities else None
            return await adapter.apply(plan, confirm_within=within)

    def _verify(self, intent: Intent) -> bool:
        found = self.see(lambda adapter: adapter.verify(intent))
        showing.verdict(found)
        self.code = DONE if found.good else WRONG_STATE
        return bool(found.good)

    def verify(self, intent: Intent) -> None:
        """Show whether the element is as asked."""
        self._verify(intent)

    def roll_back(self, record: Record, records: Records) -> None:
        """Take a transaction back."""
        self.see(lambda adapter: adapter.rollback(record.transaction))
        records.keep(record, state=UNDONE)
        click.echo(f"transaction {record.id} is rolled back")


def _hint(record: Record) -> None:
    click.echo(
        f"what was done of it is kept; to take it back: tmf element rollback {record.id}", err=True
    )


@contextmanager
def explained() -> Iterator[None]:
    """Say what failed and what helps, in two lines, and exit with the code of its kind."""
    try:
        yield
    except ElementError as error:
        code, advice = next(
            ((code, advice) for kind, code, advice in ADVICE if isinstance(error, kind)),
            (FAILED, ""),
        )
        click.secho(f"Error: {error}", fg="red", err=True)
        if advice:
            click.echo(advice, err=True)
        raise click.exceptions.Exit(code) from None
