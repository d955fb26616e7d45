"""The services of an element: its list as states of ports, and the edits that change them."""

import re
from collections.abc import Iterable, Mapping, Sequence

from lxml import etree
from lxml.etree import _Element as Element

from adapters.errors import Rejected
from adapters.netconf.profile import Profile
from adapters.netconf.rpc_errors import BASE_NAMESPACE
from adapters.netconf.session import Session
from adapters.values import Setting, Step

State = dict[str, Setting]


def nested_elements(names: Sequence[str]) -> tuple[Element, Element]:
    """Return elements one inside the other: the outermost and the innermost."""
    top = inner = etree.Element(names[0])
    for step in names[1:]:
        inner = etree.SubElement(inner, step)
    return top, inner


def leaf_text(element: Element, path: Sequence[str]) -> str | None:
    """Return what a leaf says; None where there is none."""
    found = element.findtext("/".join(path))
    return None if found is None else str(found).strip()


class ServiceList:
    """The list of services of one element."""

    def __init__(self, element: str, profile: Profile) -> None:
        self._element, self._profile = element, profile
        self._path = profile.qualified_names(profile.list_path)
        self._key = profile.qualified_names(profile.key_path)
        self._port = profile.qualified_names(profile.port_path)
        self._leaves = {one.name: profile.qualified_names(one.leaf) for one in profile.attributes}

    async def read(self, session: Session) -> dict[str, State]:
        """Return port -> attributes of the services in the running configuration.

        Raises:
            Rejected: Two services are on one port, or one is nowhere.
        """
        top, _ = nested_elements(self._path)
        data = await session.read("get-config", etree.tostring(top, encoding="unicode"))
        found: dict[str, State] = {}
        for entry in data.iterfind("/".join(self._path)):
            port, state = leaf_text(entry, self._port) or "", self._entry_state(entry)
            if not port or port in found:
                message = f"service {state['tag']!r} is on no port, or not alone on {port!r}"
                raise Rejected(self._element, message, path=port, reason="ambiguous")
            found[port] = state
        return found

    def _entry_state(self, entry: Element) -> State:
        return {
            one.name: one.absent if said is None else one.decode(said)
            for one in self._profile.attributes
            for said in [leaf_text(entry, self._leaves[one.name])]
        }

    def default_state(self, port: str) -> State:
        """Return the attributes of a port without a service; none where there can be no service."""
        if re.fullmatch(self._profile.access_pattern, port) is None:
            return {"tag": ""}
        return {one.name: one.absent for one in self._profile.attributes}

    def config_edit(self, port: str, current: Mapping[str, Setting], steps: Iterable[Step]) -> str:
        """Return the <config> that does some steps to a port; never empty."""
        changes = {step.attribute: step.after for step in steps}
        before, after = str(current["tag"]), str(changes.get("tag", current["tag"]))
        config = etree.Element(f"{{{BASE_NAMESPACE}}}config", nsmap={None: BASE_NAMESPACE})
        top, parent = nested_elements(self._path[:-1])
        config.append(top)
        if before and before != after:
            self._add_entry(parent, before, "remove")
        if after:
            entry = self._add_entry(parent, after, "merge" if before == after else "create")
            if before != after:
                self._ensure_leaf(entry, self._port).text = port
                changes = {**current, **changes}
            for name, value in changes.items():
                if name != "tag" and not (before != after and self._is_absent(name, value)):
                    self._set_leaf(entry, name, value)
        return str(etree.tostring(config, encoding="unicode"))

    def _add_entry(self, parent: Element, tag: str, operation: str) -> Element:
        entry = etree.SubElement(
            parent, self._path[-1], {f"{{{BASE_NAMESPACE}}}operation": operation}
        )
        self._ensure_leaf(entry, self._key).text = tag
        return entry

    @staticmethod
    def _ensure_leaf(entry: Element, path: Sequence[str]) -> Element:
        for step in path:
            found = entry.find(step)
            entry = etree.SubElement(entry, step) if found is None else found
        return entry

    def _is_absent(self, name: str, value: Setting) -> bool:
        return value == self._profile.attribute(name).absent

    def _set_leaf(self, entry: Element, name: str, value: Setting) -> None:
        leaf = self._ensure_leaf(entry, self._leaves[name])
        if self._is_absent(name, value):
            leaf.set(f"{{{BASE_NAMESPACE}}}operation", "remove")
        else:
            leaf.text = self._profile.attribute(name).encode(value)
