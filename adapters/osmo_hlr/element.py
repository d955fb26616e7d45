"""The adapter for OsmoHLR, the home location register of Osmocom.

The adapter creates, changes and deletes subscribers over the control interface. It sets their
secret keys over the command line (VTY), because the control interface does not accept them. It
measures over GSUP, with the requests of a serving node. The HLR cannot store the id of a service:
each subscriber is a service, and its IMSI is the port.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
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
from adapters.osmo_hlr.register import SubscriberRegister
from adapters.osmo_hlr.vty import WrongPassword, parse_subscribers
from adapters.streams import ConnectionFailed
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
    """One HLR; the address of the target is that of the control interface.

    Options of the target:

    - ``vty``: endpoint of the command line, as a port or "host:port"
    - ``gsup``: endpoint of GSUP, as a port or "host:port"; "none": services cannot be measured
    - ``timeout``: longest wait for one reply, in seconds

    The credentials hold the keys of the SIM cards; see ``adapters.osmo_hlr.keys``.
    """

    category: ClassVar = "hlr"
    capabilities: ClassVar = frozenset({base.ADMIN, base.EFFECT})

    def __init__(self, target: Target, secret: Secret) -> None:
        self.target = target
        try:
            self._register = SubscriberRegister(target, secret)
        except ValueError as error:
            raise Misconfigured(target.name, f"options or address: {error}") from error

    @classmethod
    def setting_names(cls, options: Mapping[str, str]) -> frozenset[str]:  # noqa: ARG003
        """Return the settings of a subscriber."""
        return frozenset(subscriber.SETTING_TYPES)

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
        """Return the facts that the command line shows; uptime and serial are not among them."""
        async with self._lock():
            with self._translate_errors():
                version = await self._register.vty.run("show version")
        return Facts(
            name=self._register.vty.host_name,
            vendor="Osmocom",
            model="OsmoHLR",
            software=version.partition("\n")[0].strip() or "OsmoHLR",
            serial="",
            uptime=0.0,
            boots=0,
        )

    async def inventory(self) -> Inventory:
        """Return the facts, without ports: ``services`` lists the subscribers."""
        return Inventory(await self.probe(), (), datetime.now(UTC))

    async def services(self) -> list[Observed]:
        """Return every subscriber, ordered by IMSI; the HLR does not know the ids of services."""
        async with self._lock():
            with self._translate_errors():
                rows = parse_subscribers(await self._register.vty.run("show subscribers all"))
        return [
            Observed(
                "",
                row.imsi,
                subscriber.settings(row.state),
                row.circuit_switched or row.packet_switched,
            )
            for row in rows
        ]

    async def read(self, service_id: str) -> Observed | None:
        """Raise ``Unsupported``: the HLR knows subscribers by IMSI, not by the id of a service."""
        raise Unsupported(self.target.name, f"it stores no ids of services ({service_id})")

    async def plan(self, intent: Intent) -> Plan:
        """Return the steps to the desired state; see ``Adapter.plan``.

        Raises:
            Conflict: Another subscriber has the MSISDN.
            Misconfigured: The subscriber is new and the credentials have no keys for it.
        """
        subscriber.check_intent(self.target.name, intent)
        has_keys = self._register.keys(intent.port) is not None
        async with self._lock():
            with self._translate_errors():
                current = await self._register.read_state(intent.port)
                msisdn = intent.settings.get("msisdn", "") if intent.present else ""
                owner = await self._register.find_imsi(str(msisdn))
        if owner not in {"", intent.port}:
            raise Conflict(self.target.name, f"msisdn {msisdn} is in use by subscriber {owner}")
        if intent.present and not has_keys and current["keys"] == subscriber.NO_KEYS:
            raise Misconfigured(
                self.target.name, f"the credentials have no keys for IMSI {intent.port}"
            )
        target = subscriber.desired_state(intent, current, has_keys=has_keys)
        steps = subscriber.steps(intent, current, target)
        return Plan(self.target.name, intent, steps, dict(current))

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Do the steps of the plan one after the other; see ``Adapter.apply``."""
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
        """Compare the subscriber, including its keys, with the intent; keys are not disclosed."""
        keys = self._register.keys(intent.port)
        async with self._lock():
            with self._translate_errors():
                current = await self._register.read_state(intent.port)
        expected = subscriber.desired_state(intent, current, has_keys=keys is not None)
        observed = current if current["subscriber"] else {"subscriber": False}
        return planning.compare(self.target.name, expected, observed)

    async def measure(self, intent: Intent) -> Verdict:
        """Measure whether the subscriber can attach, with the requests of a serving node.

        A subscriber that is attached stays attached, which is proof enough. Any other subscriber
        is registered and purged again; this increases its authentication counter, as does
        switching on a phone.

        Raises:
            Unsupported: The option ``gsup`` is "none" (reason "noTestHead").
        """
        if not self._register.has_gsup:
            message = "cannot measure: the option gsup is none"
            raise Unsupported(self.target.name, message, path=intent.port, reason="noTestHead")
        subscriber.check_intent(self.target.name, intent)
        imsi = intent.port
        async with self._lock():
            with self._translate_errors():
                attributes = await self._register.read_attributes(imsi)
                current = subscriber.state(attributes, None)
                target = subscriber.desired_state(intent, current, has_keys=False)
                observed = await attachment.probe_outcomes(self._register, imsi, attributes or {})
        return Verdict(
            self.target.name, attachment.expected_outcomes(target), observed, datetime.now(UTC)
        )

    async def confirm(self, transaction: Transaction) -> None:
        """Do nothing: changes need no confirmation."""

    async def rollback(self, transaction: Transaction) -> None:
        """Do the inverse steps of the transaction; see ``Adapter.rollback``.

        Raises:
            Misconfigured: The credentials lack the keys that the subscriber had before.
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
        """Check that the credentials have the keys that the steps write.

        Raises:
            Misconfigured: They do not.
        """
        required = {step.after for step in steps if step.attribute == "keys"}
        has_keys = self._register.keys(imsi) is not None
        if subscriber.OTHER_KEYS in required or (
            subscriber.CREDENTIAL_KEYS in required and not has_keys
        ):
            raise Misconfigured(
                self.target.name, f"the credentials do not have the keys that IMSI {imsi} had"
            )

    async def remove(self, service_id: str) -> Transaction:
        """Raise ``Unsupported``: plan an intent with ``present=False`` for the IMSI instead."""
        raise Unsupported(self.target.name, f"it stores no ids of services ({service_id})")

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:
        """Raise ``Unsupported``: an HLR carries no traffic."""
        raise Unsupported(self.target.name, f"an HLR has no counters ({list(ports)})")

    async def active_conditions(self) -> list[RawFault]:
        """Raise ``Unsupported``: an HLR reports no conditions."""
        raise Unsupported(self.target.name, "an HLR reports no conditions")

    async def faults(self) -> AsyncIterator[RawFault]:
        """Raise ``Unsupported``: an HLR reports no conditions."""
        raise Unsupported(self.target.name, "an HLR reports no conditions")
        yield  # makes the function a generator
