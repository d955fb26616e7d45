"""The references in a resource: kind, id, place and the access that they need; pure, no I/O.

Attributes that a contract declares have the kind of their type. In any other object, the kind
follows from ``@referredType`` or ``@type``. An ``href`` that leads to this server counts as well,
so that it cannot name another resource than the id beside it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.rest.contracts.reference_schema import ACCOUNT, ReferenceNode, ReferenceSchema
from tmf_apis.rest.pipeline.party_rules import Access, PartyRules

Path = tuple[str, ...]

#: Attributes that refer to parties. Parties are not resources of this server; the names of parties
#: are checked in ``party_ownership``.
PARTY_ATTRIBUTES = frozenset({"relatedParty", "engagedParty", "partyOrPartyRole"})


class NamedReference(NamedTuple):
    """A reference in a body.

    Attributes:
        kind: The kind of the target.
        id: The id of the target.
        pointer: JSON pointer of the id in the stored form.
        path: The attribute path, without indices.
        access: What the client must be able to do with the target.
        action: The action of the order item that holds the reference; empty without one.
    """

    kind: str
    id: str
    pointer: str
    path: Path
    access: Access
    action: str

    @property
    def identity(self) -> tuple[str, str, Path, str]:
        """The key by which a reference is the same before and after a change, at any index."""
        return self.kind, self.id, self.path, self.action


class HrefResolver:
    """Finds the resource of this server to which a URL leads."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        """Store the collections of the contracts."""
        self._kinds = {
            (*mount.strip("/").split("/"), operation.resource): operation.kind
            for contract in contracts
            for mount in contract.mounts
            for operation in contract.operations
            if operation.kind
        }
        self._lengths = sorted({len(path) for path in self._kinds})

    def resolve(self, href: str) -> tuple[str, str] | None:
        """Return kind and id; None if the path is not that of a resource of this server.

        The host does not count: the server has several names.
        """
        try:
            path = urlsplit(href).path
        except ValueError:
            return None
        segments = _segments(path)
        for length in self._lengths:
            if len(segments) > length:
                collection = tuple(segments[-length - 1 : -1])
                if kind := self._kinds.get(collection):
                    return kind, segments[-1]
        return None


class ReferenceExtractor:
    """Lists the references in resources of one kind."""

    def __init__(self, schema: ReferenceSchema, rules: PartyRules, hrefs: HrefResolver) -> None:
        """Store the declarations.

        Args:
            schema: The references that the contracts declare.
            rules: The access that they need.
            hrefs: Finds the targets of URLs.
        """
        self.schema = schema
        self._rules = rules
        self._hrefs = hrefs

    def references(self, resource: Mapping[str, Any]) -> list[NamedReference]:
        """Return the references to kinds of this server, and to accounts."""
        return list(self._members(resource, self.schema.root, (), "", ""))

    def added(self, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[NamedReference]:
        """Return the references that a change adds; all of them if there is no ``old``."""
        references = self.references(new)
        if old is None or not references:
            return references
        known = Counter(reference.identity for reference in self.references(old))
        added = []
        for reference in references:
            if known[reference.identity] > 0:
                known[reference.identity] -= 1
            else:
                added.append(reference)
        return added

    def access(self, path: Path, kind: str) -> Access:
        """Return the access that a reference needs.

        Args:
            path: Its attribute path.
            kind: The kind of its target; empty: not stored here.
        """
        if declared := self._rules.access(path):
            return declared
        if kind == ACCOUNT:
            return Access.HELD
        return Access.SEE if kind else Access.ANYWHERE

    def _walk(
        self,
        value: Any,  # noqa: ANN401
        node: ReferenceNode | None,
        path: Path,
        pointer: str,
        action: str,
    ) -> Iterator[NamedReference]:
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._walk(item, node, path, f"{pointer}/{index}", action)
        elif isinstance(value, dict):
            action = str(value.get("action") or action)
            yield from self._object(value, node, path, pointer, action)
            yield from self._members(value, node, path, pointer, action)
        elif node is not None and node.is_plain and node.kind and value not in {None, ""}:
            yield from self._reference(node.kind, str(value), pointer, path, action)

    def _members(
        self,
        value: Mapping[str, Any],
        node: ReferenceNode | None,
        path: Path,
        pointer: str,
        action: str,
    ) -> Iterator[NamedReference]:
        for name, member in value.items():
            if isinstance(member, dict | list) or name.endswith("Id"):
                child = node.attribute(name) if node else None
                inner = path if path[-1:] == (name,) else (*path, name)
                yield from self._walk(member, child, inner, f"{pointer}/{name}", action)
            elif path and name.endswith("Href") and isinstance(member, str):
                yield from self._href(member, f"{pointer}/{name}", path, action)

    def _object(
        self,
        value: Mapping[str, Any],
        node: ReferenceNode | None,
        path: Path,
        pointer: str,
        action: str,
    ) -> Iterator[NamedReference]:
        """Yield the references that an object itself makes by its id and its href."""
        if path[-1] in PARTY_ATTRIBUTES:
            return
        id = value.get("id")
        kind = (node.kind if node else "") or self._kind_of_value(value)
        is_id = isinstance(id, str | int | float) and id != ""
        target = (kind, str(id)) if kind and is_id else None
        if target:
            yield from self._reference(*target, f"{pointer}/id", path, action)
        if isinstance(href := value.get("href"), str) and self._hrefs.resolve(href) != target:
            yield from self._href(href, f"{pointer}/href", path, action)

    def _kind_of_value(self, value: Mapping[str, Any]) -> str:
        """Return the kind that an object names itself: a free-form or generic reference."""
        kind_of_type = self.schema.kind_of_type
        return kind_of_type(value.get("@referredType")) or kind_of_type(value.get("@type"))

    def _href(self, href: str, pointer: str, path: Path, action: str) -> Iterator[NamedReference]:
        if target := self._hrefs.resolve(href):
            yield from self._reference(*target, pointer, path, action)

    def _reference(
        self, kind: str, id: str, pointer: str, path: Path, action: str
    ) -> Iterator[NamedReference]:
        access = self.access(path, kind)
        if access not in {Access.ANYWHERE, Access.TASK}:
            yield NamedReference(kind, id, pointer, path, access, action)


def _segments(path: str) -> list[str]:
    """Return the decoded segments of the path of a URL, as a client follows it."""
    segments: list[str] = []
    for part in map(unquote, re.split(r"[/\\]", path)):
        if part == "..":
            del segments[-1:]
        elif part not in {"", "."}:
            segments.append(part)
    return segments
