"""The list of services of an element: reading it as port states, and building its edits."""

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
    """Create elements nested in each other; return the outermost and the innermost."""
    outermost = innermost = etree.Element(names[0])
    for name in names[1:]:
        innermost = etree.SubElement(innermost, name)
    return outermost, innermost


def leaf_text(element: Element, path: Sequence[str]) -> str | None:
    """Return the text of a leaf; None if it does not exist."""
    text = element.findtext("/".join(path))
    return None if text is None else str(text).strip()


class ServiceList:
    """The list of services of one element."""

    def __init__(self, element: str, profile: Profile) -> None:
        self._element, self._profile = element, profile
        self._path = profile.qualified_names(profile.list_path)
        self._key = profile.qualified_names(profile.key_path)
        self._port = profile.qualified_names(profile.port_path)
        self._leaves = {
            attribute.name: profile.qualified_names(attribute.leaf)
            for attribute in profile.attributes
        }

    async def read(self, session: Session) -> dict[str, State]:
        """Return the attributes of the services in the running configuration, by port.

        Raises:
            Rejected: Two services are on one port, or a service is on none.
        """
        top, _ = nested_elements(self._path)
        data = await session.read("get-config", etree.tostring(top, encoding="unicode"))
        states: dict[str, State] = {}
        for entry in data.iterfind("/".join(self._path)):
            port, state = leaf_text(entry, self._port) or "", self._entry_state(entry)
            if not port or port in states:
                problem = f"{port!r} has another one" if port else "the service has no port"
                message = f"service {state['tag']!r} cannot be read: {problem}"
                raise Rejected(self._element, message, path=port, reason="ambiguous")
            states[port] = state
        return states

    def _entry_state(self, entry: Element) -> State:
        state: State = {}
        for attribute in self._profile.attributes:
            text = leaf_text(entry, self._leaves[attribute.name])
            state[attribute.name] = attribute.absent if text is None else attribute.decode(text)
        return state

    def default_state(self, port: str) -> State:
        """Return the attributes of a port without a service; only the tag if it can have none."""
        if re.fullmatch(self._profile.access_pattern, port) is None:
            return {"tag": ""}
        return {attribute.name: attribute.absent for attribute in self._profile.attributes}

    def config_edit(self, port: str, current: Mapping[str, Setting], steps: Iterable[Step]) -> str:
        """Return the <config> element that does the steps on a port.

        A service whose tag changes is removed and created again, as the tag is the key.
        """
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
        for name in path:
            child = entry.find(name)
            entry = etree.SubElement(entry, name) if child is None else child
        return entry

    def _is_absent(self, name: str, value: Setting) -> bool:
        return value == self._profile.attribute(name).absent

    def _set_leaf(self, entry: Element, name: str, value: Setting) -> None:
        leaf = self._ensure_leaf(entry, self._leaves[name])
        if self._is_absent(name, value):
            leaf.set(f"{{{BASE_NAMESPACE}}}operation", "remove")
        else:
            leaf.text = self._profile.attribute(name).encode(value)
