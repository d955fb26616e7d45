"""Whether a subscriber can use the network, asked as a serving node asks."""

from collections.abc import Mapping

from adapters.osmo_hlr.gsup import CAUSES, CIRCUIT, NODE_NAME_PREFIX, NOT_ALLOWED, PACKET, UNKNOWN
from adapters.osmo_hlr.register import SubscriberRegister
from adapters.planning import State
from adapters.values import Setting

ACCEPTED = "accepted"
#: By setting: domain, and where the HLR shows who serves the subscriber and whether no longer.
DOMAINS = {
    "circuitSwitched": (CIRCUIT, "vlr_number", "ms_purged_cs"),
    "packetSwitched": (PACKET, "sgsn_number", "ms_purged_ps"),
}


def expected_outcomes(target: State) -> dict[str, Setting]:
    """Return what serving nodes shall be told of a subscriber that is as asked."""
    if not target["subscriber"]:
        unknown: Setting = CAUSES[UNKNOWN]
        return dict.fromkeys(("authentication", *DOMAINS), unknown)
    found: dict[str, Setting] = {"authentication": ACCEPTED}
    for name in DOMAINS:
        found[name] = ACCEPTED if target[name] else CAUSES[NOT_ALLOWED]
    return found


async def probe_outcomes(
    register: SubscriberRegister, imsi: str, attributes: Mapping[str, str]
) -> dict[str, Setting]:
    """Return what serving nodes are told of a subscriber.

    Raises:
        Broken: The HLR does not answer.
    """
    async with register.serving_node_probe(imsi) as probe:
        found: dict[str, Setting] = {"authentication": await probe.authenticate()}
        for name, (domain, server, purged) in DOMAINS.items():
            at = attributes.get(server, "")
            if at and not at.startswith(NODE_NAME_PREFIX) and attributes.get(purged) != "1":
                allowed = attributes.get("nam_" + ("cs" if domain == CIRCUIT else "ps")) == "1"
                found[name] = ACCEPTED if allowed else CAUSES[NOT_ALLOWED]
            else:
                found[name] = await probe.attach(domain)
    return found
