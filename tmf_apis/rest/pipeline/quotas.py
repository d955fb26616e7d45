"""Quotas of what clients and tenants may store: bytes, unfinished jobs, and orders a day.

They hold for requests of clients; work of the server itself is not refused.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tmf_apis.errors import TooManyRequests
from tmf_apis.rest.pipeline.policy import ResourcePolicy
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings
from tmf_apis.store.connection import translate_errors
from tmf_apis.store.resources import Document, ResourceStore
from tmf_apis.store.usage import UsageCounters, bytes_key

#: Kinds that count as orders.
ORDER_KINDS = frozenset({"ProductOrder", "ServiceOrder"})
#: How long a client should wait after a refusal for stored bytes or unfinished jobs, in seconds.
_STORAGE_PAUSE, _JOB_PAUSE = "3600", "10"
_DAY = timedelta(days=1)
#: Distance to a limit from which usage is counted in the database with each write.
_MARGIN_BYTES, _MARGIN_ORDERS = 64 * 1024 * 1024, 1000


class Quotas:
    """The quotas of one database."""

    def __init__(
        self,
        settings: Settings,
        resources: ResourceStore,
        usage: UsageCounters,
        policy_of: Callable[[str], ResourcePolicy],
    ) -> None:
        """Create the quotas.

        Args:
            settings: The limits.
            resources: The store, for the numbers of unfinished jobs.
            usage: The counters of bytes and orders.
            policy_of: Returns the policy of a kind.
        """
        self._settings = settings
        self._resources = resources
        self._usage = usage
        self._policy_of = policy_of

    def check_create(self, identity: Identity, kind: str) -> None:
        """Check that a client may create a resource.

        Raises:
            TooManyRequests: A quota is used up (HTTP 429).
        """
        self.check_storage(identity)
        if kind in ORDER_KINDS:
            self._check_orders(identity)
        elif self._policy_of(kind).run_in_background:
            self._check_jobs(identity, kind)

    def record_create(self, identity: Identity, kind: str) -> None:
        """Count a resource that a client has created."""
        if kind in ORDER_KINDS:
            now = datetime.now(UTC)
            for key in _order_keys(identity, now):
                self._usage.add(key, 1, expires=now + 2 * _DAY)

    def check_storage(self, identity: Identity) -> None:
        """Check that the tenant of a client may store more.

        Raises:
            TooManyRequests: It may not (HTTP 429).
        """
        limit = self._settings.storage_limit
        if not limit:
            return
        with translate_errors():
            used = self._usage.value(bytes_key(identity.tenant), limit, _MARGIN_BYTES)
        if used >= limit:
            raise TooManyRequests(
                f"the tenant has stored {used} of {limit} bytes; delete resources first",
                headers={"Retry-After": _STORAGE_PAUSE},
                limit="storage",
            )

    def _check_orders(self, identity: Identity) -> None:
        now = datetime.now(UTC)
        limits = (self._settings.order_limit, self._settings.client_order_limit)
        names = ("tenant", "client")
        for name, limit, key in zip(names, limits, _order_keys(identity, now), strict=True):
            if not limit:
                continue
            with translate_errors():
                used = self._usage.value(key, limit, _MARGIN_ORDERS)
            if used >= limit:
                seconds = _seconds_until_tomorrow(now)
                raise TooManyRequests(
                    f"this {name} has placed {limit} orders today (UTC), the most allowed",
                    headers={
                        "Retry-After": str(seconds),
                        "RateLimit-Policy": f'"{name}-orders";q={limit};w=86400',
                        "RateLimit": f'"{name}-orders";r=0;t={seconds}',
                    },
                    limit=f"{name}_orders",
                )

    def _check_jobs(self, identity: Identity, kind: str) -> None:
        self._check_unfinished(kind, {"tenant": identity.tenant}, "tenant")
        if identity.parties is not None:
            self._check_unfinished(kind, identity.write_filter(), "client")

    def _check_unfinished(self, kind: str, owned: Document, name: str) -> None:
        settings = self._settings
        limit = settings.job_limit if name == "tenant" else settings.client_job_limit
        lifecycle = self._policy_of(kind).lifecycle
        if not limit or lifecycle is None:
            return
        unfinished = {f"body.{lifecycle.attribute}": {"$nin": sorted(lifecycle.final_states)}}
        if self._resources.counts.total(kind, {**owned, **unfinished}) >= limit:
            raise TooManyRequests(
                f"this {name} has {limit} {kind} that have not ended, the most allowed",
                headers={"Retry-After": _JOB_PAUSE},
                limit=f"{name}_jobs",
            )


def _order_keys(identity: Identity, now: datetime) -> tuple[str, str]:
    """Return the keys of the counters of today's orders, of the tenant and of the client."""
    tenant = f"orders:{now:%Y-%m-%d}:{identity.tenant}"
    return tenant, f"{tenant} {identity.subject}"


def _seconds_until_tomorrow(now: datetime) -> int:
    tomorrow = (now + _DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((tomorrow - now).total_seconds()) + 1
