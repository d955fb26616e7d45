"""Find the targets of references with the rights of a client: one query for each kind."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tmf_apis.rest.pipeline.named_references import NamedReference
from tmf_apis.rest.pipeline.party_rules import PartyRules
from tmf_apis.security.identity import Identity
from tmf_apis.store.connection import translate_errors
from tmf_apis.store.resources import ResourceStore

_MEMBERS = {"id": 1, "parties": 1, "owner": 1}


class Target(NamedTuple):
    """A resource that a client may see.

    Attributes:
        parties: The parties that it belongs to.
        creators: The parties of the client that created it; empty: the operator.
    """

    parties: frozenset[str]
    creators: frozenset[str]


#: Targets by kind and id.
Targets = dict[tuple[str, str], Target]


class ReferenceLookup:
    """Reads the targets of references."""

    def __init__(self, resources: ResourceStore, rules: Mapping[str, PartyRules]) -> None:
        """Store the collaborators.

        Args:
            resources: The collections.
            rules: The rules of each kind; they say which resources hold the ids of accounts.
        """
        self._resources = resources
        self._holders: dict[str, list[tuple[str, str]]] = {}
        for kind, kind_rules in sorted(rules.items()):
            for held_kind, paths in kind_rules.holds.items():
                self._holders.setdefault(held_kind, []).extend((kind, path) for path in paths)

    def find(self, identity: Identity, references: Iterable[NamedReference]) -> Targets:
        """Return the targets that a party may see.

        All queries are made whatever they find, so that a target of another party takes as long as
        one that does not exist.
        """
        ids: dict[str, set[str]] = {}
        for reference in references:
            ids.setdefault(reference.kind, set()).add(reference.id)
        targets: Targets = {}
        for kind, wanted in ids.items():
            if kind in self._holders:
                targets |= self._find_held(identity, kind, wanted)
            else:
                targets |= self._find_stored(identity, kind, wanted)
        return targets

    def _find_stored(self, identity: Identity, kind: str, ids: Iterable[str]) -> Targets:
        keys = [f"{identity.tenant}:{id}" for id in sorted(ids)]
        query = {"_id": {"$in": keys}, **identity.read_filter()}
        documents = self._resources.find_many(kind, query, _MEMBERS)
        return {
            (kind, doc["id"]): Target(
                frozenset(doc.get("parties", ())), frozenset(doc.get("owner", ()))
            )
            for doc in documents
        }

    def _find_held(self, identity: Identity, kind: str, ids: set[str]) -> Targets:
        """Return the ids that the resources of a party hold; the party itself may be an account."""
        parties = frozenset() if identity.parties is None else identity.parties
        held = ids & parties
        for holder, path in self._holders[kind]:
            held |= self._find_held_by(identity, holder, path, ids)
        return {(kind, id): Target(parties, parties) for id in held}

    def _find_held_by(self, identity: Identity, holder: str, path: str, ids: set[str]) -> set[str]:
        member = f"body.{path}"
        query: dict[str, Any] = {**identity.write_filter(), member: {"$in": sorted(ids)}}
        if len(ids) == 1:
            return (
                set(ids) if self._resources.find_many(holder, query, {"_id": 1}, limit=1) else set()
            )
        with translate_errors():
            values = self._resources.collection(holder).distinct(
                member, query, maxTimeMS=self._resources.query_time
            )
        return ids & {str(value) for value in values}
