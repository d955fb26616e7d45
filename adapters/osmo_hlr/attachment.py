"""Measurement of a subscriber with the requests of a serving node (SGSN, VLR)."""

from collections.abc import Mapping

from adapters.osmo_hlr.gsup import CAUSES, CIRCUIT, NODE_NAME_PREFIX, NOT_ALLOWED, PACKET, UNKNOWN
from adapters.osmo_hlr.register import SubscriberRegister
from adapters.planning import State
from adapters.values import Setting

ACCEPTED = "accepted"
#: By setting: the domain, and the attributes of the HLR that hold the serving node and whether it
#: has purged the subscriber.
DOMAINS = {
    "circuitSwitched": (CIRCUIT, "vlr_number", "ms_purged_cs"),
    "packetSwitched": (PACKET, "sgsn_number", "ms_purged_ps"),
}


def expected_outcomes(target: State) -> dict[str, Setting]:
    """Return the answers that serving nodes must get for a subscriber in the desired state."""
    if not target["subscriber"]:
        unknown: Setting = CAUSES[UNKNOWN]
        return dict.fromkeys(("authentication", *DOMAINS), unknown)
    outcomes: dict[str, Setting] = {"authentication": ACCEPTED}
    for name in DOMAINS:
        outcomes[name] = ACCEPTED if target[name] else CAUSES[NOT_ALLOWED]
    return outcomes


async def probe_outcomes(
    register: SubscriberRegister, imsi: str, attributes: Mapping[str, str]
) -> dict[str, Setting]:
    """Return the answers that serving nodes get for a subscriber.

    In a domain where a serving node already serves the subscriber, no request is sent, because it
    would detach the subscriber; the outcome follows from the attributes.

    Args:
        register: The subscribers of the HLR.
        imsi: The subscriber.
        attributes: The attributes of the subscriber in the HLR.

    Raises:
        ConnectionFailed: The HLR does not answer.
    """
    async with register.serving_node_probe(imsi) as probe:
        outcomes: dict[str, Setting] = {"authentication": await probe.authenticate()}
        for name, (domain, node_attribute, purged_attribute) in DOMAINS.items():
            node = attributes.get(node_attribute, "")
            is_own = node.startswith(NODE_NAME_PREFIX)
            if node and not is_own and attributes.get(purged_attribute) != "1":
                allowed = attributes.get("nam_" + ("cs" if domain == CIRCUIT else "ps")) == "1"
                outcomes[name] = ACCEPTED if allowed else CAUSES[NOT_ALLOWED]
            else:
                outcomes[name] = await probe.attach(domain)
    return outcomes
