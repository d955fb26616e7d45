"""Which networks a discovery that somebody asks for over the API may look at.

The command line is the operator's own and asks nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Self

from tmf_apis.network.targets import Place, parts, places
from tmf_apis.security.addresses import Address, Network, carried
from tmf_apis.security.outbound import resolved
from tmf_apis.settings import Settings

SETTING = "TMF_DISCOVERY_NETWORKS"


class Outside(ValueError):
    """Some targets are where discovery must not look."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where discovery may look.

    Attributes:
        networks: The networks; None: everywhere.
    """

    networks: tuple[Network, ...] | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the operator permits; where everybody may do everything, everything."""
        named = settings.discovery_networks
        return cls(named if named or settings.authenticated else None)

    def places(self, targets: Iterable[str]) -> list[Place]:
        """Return every place that is meant; a name becomes the address that was checked.

        Raises:
            Outside: One of them must not be looked at; the message names them all.
            ValueError: One is none of address, name, range and block, or they are too many.
        """
        wanted = list(targets)
        found = places(wanted)
        if self.networks is None:
            return found
        checked = {one.address: self._checked(one) for one in found}
        outside = [
            target for target in wanted
            if any(checked[one.address] is None for one in places([target]))
        ]  # fmt: skip
        if outside:
            shown = ", ".join(one.strip()[:80] for one in outside[:10])
            more = f" and {len(outside) - 10} more" if len(outside) > 10 else ""  # noqa: PLR2004
            raise Outside(
                f"{shown}{more}: not in the networks that the operator permits ({SETTING})"
            )
        unique = {one.address: one for one in checked.values() if one}
        return list(unique.values())

    def _checked(self, place: Place) -> Place | None:
        """Return a place by an address that may be looked at; None: it may not."""
        host, port = parts(place.address)
        try:
            found, name = [ip_address(host)], False
        except ValueError:
            found, name = resolved(host), True
        if not found or not all(map(self._permits, found)):
            return None
        if not name:
            return place
        shown = f"[{found[0]}]" if port and found[0].version == 6 else str(found[0])  # noqa: PLR2004
        return Place(f"{shown}:{port}" if port else shown, place.named)

    def _permits(self, address: Address) -> bool:
        """Return whether an address is permitted: one that carries others, as those are."""
        inner = carried(address) if isinstance(address, IPv6Address) else ()
        return all(
            any(one in network for network in self.networks or ()) for one in inner or (address,)
        )
