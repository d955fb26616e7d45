"""What a NETCONF element is, read where its profile says that it stands."""

from datetime import UTC, datetime

from lxml import etree

from adapters.netconf.profile import Profile
from adapters.netconf.services import nested, text
from adapters.netconf.session import Session
from adapters.values import Facts


async def _said(session: Session, profile: Profile, *names: str) -> dict[str, str]:
    paths = {name: profile.steps(profile.facts[name]) for name in names if name in profile.facts}
    if not paths:
        return {}
    filters = [etree.tostring(nested(path)[0], encoding="unicode") for path in paths.values()]
    data = await session.read("get", *filters)
    return {name: text(data, path) or "" for name, path in paths.items()}


async def started(session: Session, profile: Profile) -> str:
    """Return when its management software started, in its own words; empty if it does not say."""
    return (await _said(session, profile, "started")).get("started", "")


async def facts(session: Session, profile: Profile) -> Facts:
    """Return what the element is."""
    said = await _said(session, profile, *profile.facts)
    return Facts(
        name=said.get("name") or session.element,
        vendor=profile.vendor,
        model=profile.model,
        software=said.get("software") or f"NETCONF, {len(session.capabilities)} capabilities",
        serial=said.get("serial", ""),
        uptime=_age(said.get("started", "")),
        boots=0,
    )


def _age(since: str) -> float:
    try:
        began = datetime.fromisoformat(since)
    except ValueError:
        return 0.0
    if began.tzinfo is None:
        began = began.replace(tzinfo=UTC)
    return max(0.0, (datetime.now(UTC) - began).total_seconds())
