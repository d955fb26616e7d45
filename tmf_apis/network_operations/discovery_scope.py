"""Which networks a discovery that somebody asks for over the API may look at.

The command line is the operator's own and asks nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Self

from tmf_apis.network_operations.targets import DiscoveryTarget, host_and_port, parse_targets
from tmf_apis.security.addresses import Address, Network, embedded_ipv4
from tmf_apis.security.outbound import resolve_host
from tmf_apis.settings import Settings

SETTING_NAME = "TMF_DISCOVERY_NETWORKS"


class TargetNotPermitted(ValueError):
    """Some targets are where discovery must not look."""


@dataclass(frozen=True, slots=True)
class DiscoveryScope:
    """Where discovery may look.

    Attributes:
        networks: The networks; None: everywhere.
    """

    networks: tuple[Network, ...] | None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return what the operator permits; where everybody may do everything, everything."""
        named = settings.discovery_networks
        return cls(named if named or settings.is_authentication_required else None)

    def permitted_targets(self, targets: Iterable[str]) -> list[DiscoveryTarget]:
        """Return every place that is meant; a name becomes the address that was checked.

        Raises:
            Outside: One of them must not be looked at; the message names them all.
            ValueError: One is none of address, name, range and block, or they are too many.
        """
        wanted = list(targets)
        found = parse_targets(wanted)
        if self.networks is None:
            return found
        checked = {one.address: self._permitted_target(one) for one in found}
        outside = [
            target for target in wanted
            if any(checked[one.address] is None for one in parse_targets([target]))
        ]  # fmt: skip
        if outside:
            shown = ", ".join(one.strip()[:80] for one in outside[:10])
            more = f" and {len(outside) - 10} more" if len(outside) > 10 else ""  # noqa: PLR2004
            raise TargetNotPermitted(
                f"{shown}{more}: not in the networks that the operator permits ({SETTING_NAME})"
            )
        unique = {one.address: one for one in checked.values() if one}
        return list(unique.values())

    def _permitted_target(self, target: DiscoveryTarget) -> DiscoveryTarget | None:
        """Return a place by an address that may be looked at; None: it may not."""
        host, port = host_and_port(target.address)
        try:
            found, name = [ip_address(host)], False
        except ValueError:
            found, name = resolve_host(host), True
        if not found or not all(map(self._is_permitted, found)):
            return None
        if not name:
            return target
        shown = f"[{found[0]}]" if port and found[0].version == 6 else str(found[0])  # noqa: PLR2004
        return DiscoveryTarget(f"{shown}:{port}" if port else shown, target.is_explicit)

    def _is_permitted(self, address: Address) -> bool:
        """Return whether an address is permitted: one that carries others, as those are."""
        inner = embedded_ipv4(address) if isinstance(address, IPv6Address) else ()
        return all(
            any(one in network for network in self.networks or ()) for one in inner or (address,)
        )
