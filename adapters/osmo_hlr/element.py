"""A mobile subscriber register: Osmocom's HLR.

Subscribers are made, changed and deleted over its control interface; their secret keys, which
that does not take, over its command line. What it then does for a subscriber is asked over GSUP,
as a serving node would ask. It has no room for the id of a service: a subscriber is one, and its
IMSI is the port.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import ClassVar, Self

from adapters import base, planning, stepwise
from adapters.credentials import Secret
from adapters.errors import (
    Conflict,
    Misconfigured,
    Unreachable,
    Unsupported,
)
from adapters.locks import endpoint_lock
from adapters.mixins import NoUsageRecords
from adapters.observations import RawFault, Sample
from adapters.osmo_hlr import attachment, subscriber
from adapters.osmo_hlr.ipa import ConnectionFailed
from adapters.osmo_hlr.register import SubscriberRegister
from adapters.osmo_hlr.vty import WrongPassword, parse_subscribers
from adapters.values import (
    Facts,
    Intent,
    Inventory,
    Observed,
    Plan,
    Step,
    Target,
    Transaction,
    Verdict,
)


class OsmoHlr(NoUsageRecords):
    """One HLR; the address is that of its control interface.

    Options of the target: ``vty`` and ``gsup``, where its command line and its serving nodes'
    interface are (a port, or "host:port"; ``gsup`` may be "none": then nothing is measured), and
    ``timeout`` of one answer in seconds. The credentials hold the keys of the
    SIM cards (``adapters.osmo_hlr.keys``).
    """

    category: ClassVar = "hlr"
    capabilities: ClassVar = frozenset({base.ADMIN, base.EFFECT})

    def __init__(self, target: Target, secret: Secret) -> None:
        self.target = target
        try:
            self._register = SubscriberRegister(target, secret)
        except ValueError as error:
            raise Misconfigured(target.name, f"options or address: {error}") from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._register.close()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except WrongPassword as error:
            raise Misconfigured(self.target.name, str(error)) from error
        except ConnectionFailed as error:
            raise Unreachable(self.target.name, str(error)) from error

    def _lock(self) -> asyncio.Lock:
        return endpoint_lock(self._register.endpoint)

    async def probe(self) -> Facts:
        """Return what the HLR is, as its command line says; it tells neither uptime nor serial."""
        async with self._lock():
            with self._translate_errors():
                said = await self._register.vty.run("show version")
        return Facts(
            name=self._register.vty.host_name,
            vendor="Osmocom",
            model="OsmoHLR",
            software=said.partition("\n")[0].strip() or "OsmoHLR",
            serial="",
            uptime=0.0,
            boots=0,
        )

    async def inventory(self) -> Inventory:
        """Return facts and no ports: subscribers come and go, ``services`` lists them."""
        return Inventory(await self.probe(), (), datetime.now(UTC))

    async def services(self) -> list[Observed]:
        """Return every subscriber, ordered by IMSI; whose service it is the HLR does not know."""
        async with self._lock():
            with self._translate_errors():
                found = parse_subscribers(await self._register.vty.run("show subscribers all"))
        return [
            Observed(
                "",
                row.imsi,
                subscriber.settings(row.state),
                row.circuit_switched or row.packet_switched,
            )
            for row in found
        ]

    async def read(self, service_id: str) -> Observed | None:
        """Refuse: the HLR knows subscribers by their IMSI, not by the id of a service."""
        raise Unsupported(self.target.name, f"no room for the id of a service ({service_id})")

    async def plan(self, intent: Intent) -> Plan:
        """Return the steps to what is asked; see ``Adapter.plan``.

        Raises:
            Conflict: Another subscriber has the number.
            Misconfigured: The subscriber is new and the credentials have no keys for it.
        """
        subscriber.check_intent(self.target.name, intent)
        keys = self._register.keys(intent.port) is not None
        async with self._lock():
            with self._translate_errors():
                current = await self._register.read_state(intent.port)
                number = intent.settings.get("msisdn", "") if intent.present else ""
                owner = await self._register.find_imsi(str(number))
        if owner not in {"", intent.port}:
            raise Conflict(self.target.name, f"msisdn {number} is in use by subscriber {owner}")
        if intent.present and not keys and current["keys"] == subscriber.NO_KEYS:
            raise Misconfigured(
                self.target.name, f"the credentials have no keys for IMSI {intent.port}"
            )
        target = subscriber.desired_state(intent, current, has_keys=keys)
        needed = subscriber.steps(intent, current, target)
        return Plan(self.target.name, intent, needed, dict(current))

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Do what the plan says, one variable after the other; see ``Adapter.apply``."""
        if confirm_within is not None:
            raise Unsupported(self.target.name, "an HLR has no confirmed commit")
        async with self._lock():
            with self._translate_errors():
                current = await self._register.read_state(plan.intent.port)
            planning.check_precondition(plan, current)

            async def apply_step(step: Step) -> None:
                nonlocal current
                with self._translate_errors():
                    current = await self._register.apply_step(step, current)

            steps = subscriber.sorted_steps(plan.steps)
            return await stepwise.apply_steps(plan, steps, apply_step)

    async def verify(self, intent: Intent) -> Verdict:
        """Return whether the subscriber is as asked, the keys included; they are not shown."""
        keys = self._register.keys(intent.port)
        async with self._lock():
            with self._translate_errors():
                current = await self._register.read_state(intent.port)
        expected = subscriber.desired_state(intent, current, has_keys=keys is not None)
        observed = current if current["subscriber"] else {"subscriber": False}
        return planning.compare(self.target.name, expected, observed)

    async def measure(self, intent: Intent) -> Verdict:
        """Return whether the subscriber can attach, asked as a serving node asks.

        A subscriber that is attached somewhere is left there: being attached is the proof. One
        that is not is registered and purged again; its authentication counter moves on, as it
        does whenever a card is switched on.

        Raises:
            Unsupported: The option ``gsup`` says that nobody may ask ("noTestHead").
        """
        if not self._register.has_gsup:
            message = "serving nodes are asked nothing here: not measured"
            raise Unsupported(self.target.name, message, path=intent.port, reason="noTestHead")
        subscriber.check_intent(self.target.name, intent)
        async with self._lock():
            with self._translate_errors():
                seen = await self._register.read_attributes(intent.port)
                current = subscriber.state(seen, None)
                target = subscriber.desired_state(intent, current, has_keys=False)
                observed = await attachment.probe_outcomes(self._register, intent.port, seen or {})
        return Verdict(
            self.target.name, attachment.expected_outcomes(target), observed, datetime.now(UTC)
        )

    async def confirm(self, transaction: Transaction) -> None:
        """Do nothing: what is set lasts at once."""

    async def rollback(self, transaction: Transaction) -> None:
        """Set back what the transaction set; see ``Adapter.rollback``.

        Raises:
            Misconfigured: A subscriber would have to be made again whose keys nobody has.
        """
        imsi, steps = transaction.intent.port, subscriber.sorted_steps(transaction.inverse)
        if not steps:
            return
        async with self._lock():
            with self._translate_errors():
                current = await self._register.read_state(imsi)
                planning.check_unchanged(transaction, current)
                self._check_keys(imsi, steps)
                for step in steps:
                    current = await self._register.apply_step(step, current)
                observed = await self._register.read_state(imsi)
        planning.verify_steps(self.target.name, steps, observed)

    def _check_keys(self, imsi: str, steps: Sequence[Step]) -> None:
        lost = any(
            step.attribute == "keys" and step.after == subscriber.OTHER_KEYS for step in steps
        )
        asked = any(
            step.attribute == "keys" and step.after == subscriber.CREDENTIAL_KEYS for step in steps
        )
        if lost or (asked and self._register.keys(imsi) is None):
            raise Misconfigured(
                self.target.name, f"the credentials do not have the keys that IMSI {imsi} had"
            )

    async def remove(self, service_id: str) -> Transaction:
        """Refuse: plan an intent for the IMSI that is not present."""
        raise Unsupported(self.target.name, f"no room for the id of a service ({service_id})")

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:
        """Refuse: an HLR carries no traffic."""
        raise Unsupported(self.target.name, f"no counters of subscribers {list(ports)}")

    async def active_conditions(self) -> list[RawFault]:
        """Refuse: an HLR reports no conditions."""
        raise Unsupported(self.target.name, "an HLR reports no conditions")

    async def faults(self) -> AsyncIterator[RawFault]:
        """Refuse: an HLR reports no conditions."""
        raise Unsupported(self.target.name, "an HLR reports no conditions")
        yield  # what makes it a generator
