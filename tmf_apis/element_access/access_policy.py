"""Checks of connections to elements: tenants and networks of credentials and addresses.

This is the one place where the address of an element is resolved and checked. The connection is
made to the checked address, so that a name cannot lead elsewhere afterwards (DNS rebinding).
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address
from typing import Self, cast

from adapters.base import Adapter
from adapters.credentials import CredentialEntry, Credentials, Secret
from adapters.errors import ElementError, Misconfigured, Unreachable
from adapters.guard import guarded
from adapters.registry import find_adapter
from adapters.values import Target
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.security.addresses import Address, Network, denial_reason, is_in_networks
from tmf_apis.security.outbound import resolve_host, resolve_host_async
from tmf_apis.settings import Settings

#: Options of targets that hold further addresses: "host:port", a port, or "name=host:port" words.
ADDRESS_OPTIONS = ("gsup", "vty", "testAddress")
#: Member of ``tenants`` of credentials that stands for every tenant.
ANY_TENANT = "*"
_SETTINGS = "TMF_ELEMENT_NETWORKS or TMF_DISCOVERY_NETWORKS"

_log = logging.getLogger(__name__)


class NotPermitted(Misconfigured):
    """The operator does not permit the connection; nothing was sent."""


def _refusal_condition() -> LastingCondition:
    return LastingCondition(
        _log,
        "a connection to an element is not permitted",
        "connections to an element are permitted again",
    )


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """The rules for connections to elements.

    Attributes:
        networks: Networks in which elements may be; empty: all, see ``allow_local``.
        allow_local: Without ``networks``, loopback, link-local and other special addresses are
            permitted, too.
        default_tenants: Tenants that may use credentials that name no tenants; None: all.
        checks_tenants: Credentials are usable only for their tenants. The command line, which the
            operator alone uses, does not check them.
        refusals: The elements that are not permitted at the moment.
    """

    networks: tuple[Network, ...] = ()
    allow_local: bool = True
    default_tenants: frozenset[str] | None = None
    checks_tenants: bool = True
    refusals: LastingCondition = field(
        default_factory=_refusal_condition, init=False, compare=False, repr=False
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the policy of a server; without authentication, every address is permitted."""
        is_closed = settings.is_authentication_required
        return cls(
            settings.element_networks or settings.discovery_networks,
            allow_local=not is_closed,
            default_tenants=frozenset({settings.default_tenant}) if is_closed else None,
        )

    def check_tenant(self, target: Target, entry: CredentialEntry) -> None:
        """Check that the tenant of an element may use its credentials.

        Raises:
            NotPermitted: The credentials belong to other tenants.
        """
        if not self.checks_tenants or not target.credentials:
            return
        tenants = self.default_tenants if entry.tenants is None else entry.tenants
        if tenants is None or ANY_TENANT in tenants or target.tenant in tenants:
            return
        # as for credentials that do not exist: the name tells nothing about other tenants
        raise NotPermitted(
            target.name, f"no credentials {target.credentials!r} for tenant {target.tenant!r}"
        )

    def denial(self, address: Address, entry: CredentialEntry) -> str:
        """Return why a connection to an address is denied; empty if it is permitted."""
        if self.networks and not is_in_networks(address, self.networks):
            return f"not in the networks that the operator permits ({_SETTINGS})"
        if not self.networks and not self.allow_local:
            is_listed = entry.networks is not None and is_in_networks(address, entry.networks)
            if not is_listed and (reason := denial_reason(address, allow_internal=True)):
                return f"{reason}; the operator has to list it ({_SETTINGS})"
        if entry.networks is not None and not is_in_networks(address, entry.networks):
            return "not in the networks of its credentials"
        return ""

    def restricts_addresses(self, entry: CredentialEntry) -> bool:
        """Return whether an address has to be checked at all."""
        return bool(self.networks) or not self.allow_local or entry.networks is not None


#: Every address, and credentials of any tenant: the command line and tests.
COMMAND_LINE = AccessPolicy(checks_tenants=False)
UNRESTRICTED = AccessPolicy()


async def create_adapter(target: Target, credentials: Credentials, policy: AccessPolicy) -> Adapter:
    """Return an adapter for the checked address of a target; open it with ``async with``.

    Raises:
        NotPermitted: The operator does not permit the address, or the credentials for it.
        Misconfigured: The adapter or the credentials do not exist or are not usable.
        Unreachable: The name of the element cannot be resolved.
    """
    entry = _checked_entry(target, credentials, policy)
    if policy.restricts_addresses(entry):
        hosts = _hosts(target)
        addresses = {host: await resolve_host_async(host) for host in hosts}
        target = _pinned(target, addresses, entry, policy)
    policy.refusals.clear(_subject(target), element=target.name)
    adapter_class = cast("Callable[..., Adapter]", guarded(find_adapter(target.adapter)))
    try:
        return adapter_class(target, entry.secret)
    except ElementError:
        raise
    except Exception as error:  # a third-party adapter may raise anything
        raise Misconfigured(target.name, f"{target.adapter}: {error!r}") from error


async def checked_address(target: Target, address: str, policy: AccessPolicy) -> str:
    """Return the checked form of a further address of an element, such as a test head.

    Raises:
        NotPermitted: The operator does not permit it.
        Unreachable: Its name cannot be resolved.
    """
    entry = CredentialEntry(Secret({}))
    if not policy.restricts_addresses(entry):
        return address
    host = _host_of(address)
    further = replace(target, address=address, options={}, credentials="")
    checked = _pinned(further, {host: await resolve_host_async(host)}, entry, policy).address
    policy.refusals.clear(_subject(further), element=target.name)
    return checked


def checked_target(
    target: Target, credentials: Credentials, policy: AccessPolicy
) -> tuple[Target, CredentialEntry]:
    """Return a target with its checked address, and its credentials; block the thread.

    Raises:
        NotPermitted: The operator does not permit the address, or the credentials for it.
        Misconfigured: The credentials do not exist or are not usable.
        Unreachable: The name of the element cannot be resolved.
    """
    entry = _checked_entry(target, credentials, policy)
    if policy.restricts_addresses(entry):
        addresses = {host: resolve_host(host) for host in _hosts(target)}
        target = _pinned(target, addresses, entry, policy)
    policy.refusals.clear(_subject(target), element=target.name)
    return target, entry


def _checked_entry(
    target: Target, credentials: Credentials, policy: AccessPolicy
) -> CredentialEntry:
    entry = credentials.entry(target.credentials, element=target.name)
    try:
        policy.check_tenant(target, entry)
    except NotPermitted as error:
        _report(policy, target, error)
        raise
    return entry


def _pinned(
    target: Target,
    addresses: Mapping[str, list[Address]],
    entry: CredentialEntry,
    policy: AccessPolicy,
) -> Target:
    """Return a target with addresses in the place of all names.

    Args:
        target: The target.
        addresses: The resolved addresses of each host that the target names.
        entry: Its credentials.
        policy: The rules.

    Raises:
        NotPermitted: An address is not permitted.
        Unreachable: A name cannot be resolved.
    """
    pinned: dict[str, Address] = {}
    for host, resolved in addresses.items():
        if not resolved:
            raise Unreachable(target.name, f"{host[:80]} cannot be resolved")
        for address in resolved:
            if reason := policy.denial(address, entry):
                error = NotPermitted(target.name, f"address {address} is {reason}")
                _report(policy, target, error)
                raise error
        pinned[host] = resolved[0]
    options = {
        name: _pinned_option(text, pinned) if name in ADDRESS_OPTIONS else text
        for name, text in target.options.items()
    }
    return replace(target, address=_pinned_address(target.address, pinned), options=options)


def _hosts(target: Target) -> set[str]:
    texts = [target.address]
    for name in ADDRESS_OPTIONS:
        texts += [_address_of(word) for word in target.options.get(name, "").split()]
    return {host for text in texts if (host := _host_of(text))}


def _address_of(word: str) -> str:
    """Return the address in a word of an option; empty if the word is a port or ``none``."""
    address = word.rpartition("=")[2]
    return "" if address.isdecimal() or address == "none" else address


def _host_of(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def _pinned_option(text: str, pinned: Mapping[str, Address]) -> str:
    words: Iterable[str] = text.split()
    return " ".join(
        f"{word[: len(word) - len(address)]}{_pinned_address(address, pinned)}"
        if (address := _address_of(word))
        else word
        for word in words
    )


def _pinned_address(address: str, pinned: Mapping[str, Address]) -> str:
    """Return an address with its host replaced.

    >>> from ipaddress import ip_address
    >>> _pinned_address("gw.lab:161", {"gw.lab": ip_address("2001:db8::1")})
    '[2001:db8::1]:161'
    """
    host = _host_of(address)
    if host not in pinned:
        return address
    port = address.rpartition(":")[2] if _has_port(address) else ""
    text = str(pinned[host])
    if port and isinstance(pinned[host], IPv6Address):
        text = f"[{text}]"
    return f"{text}:{port}" if port else text


def _has_port(address: str) -> bool:
    return "]:" in address or address.count(":") == 1


def _subject(target: Target) -> str:
    return f"{target.tenant}/{target.name}/{target.credentials}"


def _report(policy: AccessPolicy, target: Target, error: NotPermitted) -> None:
    policy.refusals.report(
        _subject(target),
        cause=error.message,
        element=target.name,
        tenant=target.tenant,
        credentials=target.credentials,
        error=error.message,
    )
