"""The facts of a NETCONF element, read from the leaves that its profile names."""

from datetime import UTC, datetime

from lxml import etree

from adapters.netconf.profile import Profile
from adapters.netconf.services import leaf_text, nested_elements
from adapters.netconf.session import Session
from adapters.values import Facts


async def _read_leaves(session: Session, profile: Profile, *names: str) -> dict[str, str]:
    """Return the named facts, without those for which the profile has no path."""
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
    """Return the start time of the management software as the element writes it; may be empty."""
    return (await _read_leaves(session, profile, "started")).get("started", "")


async def read_facts(session: Session, profile: Profile) -> Facts:
    """Return the facts of the element."""
    leaves = await _read_leaves(session, profile, *profile.facts)
    return Facts(
        name=leaves.get("name") or session.element,
        vendor=profile.vendor,
        model=profile.model,
        software=leaves.get("software") or f"NETCONF, {len(session.capabilities)} capabilities",
        serial=leaves.get("serial", ""),
        uptime=_uptime(leaves.get("started", "")),
        boots=0,
    )


def _uptime(start_time: str) -> float:
    """Return the seconds since a time in ISO 8601; 0 if the text is no such time."""
    try:
        started_at = datetime.fromisoformat(start_time)
    except ValueError:
        return 0.0
    if started_at.tzinfo is None:
        started_at = started_at.replace(tzinfo=UTC)
    return max(0.0, (datetime.now(UTC) - started_at).total_seconds())
