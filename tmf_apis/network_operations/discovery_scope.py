"""Networks that a discovery requested over the API may scan.

Discovery from the command line is not restricted, because only the operator has access to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self

from tmf_apis.network_operations.targets import DiscoveryTarget, host_and_port, parse_targets
from tmf_apis.security.addresses import Address, Network, is_in_networks
from tmf_apis.security.outbound import resolve_host
from tmf_apis.settings import Settings

SETTING_NAME = "TMF_DISCOVERY_NETWORKS"


class TargetNotPermitted(ValueError):
    """Some targets are outside the permitted networks."""


@dataclass(frozen=True, slots=True)
class DiscoveryScope:
    """The networks that discovery may scan.

    Attributes:
        networks: The permitted networks; None: all networks.
    """

    networks: tuple[Network, ...] | None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the scope of the settings; without authentication and networks, everything."""
        networks = settings.discovery_networks
        return cls(networks if networks or settings.is_authentication_required else None)

    def permitted_targets(self, targets: Iterable[str]) -> list[DiscoveryTarget]:
        """Return all addresses that the targets stand for; a host name becomes its checked address.

        Raises:
            TargetNotPermitted: A target is outside the permitted networks; the message names all
                such targets.
            ValueError: A target is not an address, name, range or block, or there are too many.
        """
        targets = list(targets)
        parsed_targets = parse_targets(targets)
        if self.networks is None:
            return parsed_targets
        permitted = {parsed.address: self._permitted_target(parsed) for parsed in parsed_targets}
        outside = [
            target
            for target in targets
            if any(permitted[parsed.address] is None for parsed in parse_targets([target]))
        ]
        if outside:
            names = ", ".join(target.strip()[:80] for target in outside[:10])
            more = f" and {len(outside) - 10} more" if len(outside) > 10 else ""  # noqa: PLR2004
            raise TargetNotPermitted(
                f"{names}{more}: not in the networks that the operator permits ({SETTING_NAME})"
            )
        unique = {parsed.address: parsed for parsed in permitted.values() if parsed}
        return list(unique.values())

    def _permitted_target(self, target: DiscoveryTarget) -> DiscoveryTarget | None:
        """Return the target with its host name resolved, or None if it is not permitted."""
        host, port = host_and_port(target.address)
        try:
            addresses, is_name = [ip_address(host)], False
        except ValueError:
            addresses, is_name = resolve_host(host), True
        if not addresses or not all(map(self._is_permitted, addresses)):
            return None
        if not is_name:
            return target
        address = addresses[0]
        text = f"[{address}]" if port and address.version == 6 else str(address)  # noqa: PLR2004
        return DiscoveryTarget(f"{text}:{port}" if port else text, target.is_explicit)

    def _is_permitted(self, address: Address) -> bool:
        return is_in_networks(address, self.networks or ())
