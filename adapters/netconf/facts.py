"""What a NETCONF element is, read where its profile says that it stands."""

from datetime import UTC, datetime

from lxml import etree

from adapters.netconf.profile import Profile
from adapters.netconf.services import leaf_text, nested_elements
from adapters.netconf.session import Session
from adapters.values import Facts


async def _read_leaves(session: Session, profile: Profile, *names: str) -> dict[str, str]:
    paths = {
        name: profile.qualified_names(profile.facts[name])
        for name in names
        if name in profile.facts
    }
    if not paths:
        return {}
    filters = [
        etree.tostring(nested_elements(path)[0], encoding="unicode") for path in paths.values()
    ]
    data = await session.read("get", *filters)
    return {name: leaf_text(data, path) or "" for name, path in paths.items()}


async def read_start_time(session: Session, profile: Profile) -> str:
    """Return when its management software started, in its own words; empty if it does not say."""
    return (await _read_leaves(session, profile, "started")).get("started", "")


async def read_facts(session: Session, profile: Profile) -> Facts:
    """Return what the element is."""
    said = await _read_leaves(session, profile, *profile.facts)
    return Facts(
        name=said.get("name") or session.element,
        vendor=profile.vendor,
        model=profile.model,
        software=said.get("software") or f"NETCONF, {len(session.capabilities)} capabilities",
        serial=said.get("serial", ""),
        uptime=_uptime(said.get("started", "")),
        boots=0,
    )


def _uptime(start_time: str) -> float:
    try:
        began = datetime.fromisoformat(start_time)
    except ValueError:
        return 0.0
    if began.tzinfo is None:
        began = began.replace(tzinfo=UTC)
    return max(0.0, (datetime.now(UTC) - began).total_seconds())
