"""What the catalogues say of offerings, kept for as long as the database has the same revisions.

Orders of one hour are for a few offerings, and each takes five reads of whole documents to
understand. One question for nothing but revisions says whether what was read last time still
stands; it repeats the very queries, so something that has come is seen, too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from tmf_apis.fulfilment.design.offers import Catalogue
from tmf_apis.rest.desk import BoundDesk
from tmf_apis.rest.law import Desk, Resource

#: Most sets of offerings that are remembered.
MOST = 200

Queries = list[tuple[str, Mapping[str, Any]]]
Read = Callable[[Desk, frozenset[str]], Catalogue]


@dataclass(slots=True)
class _Reading:
    """A desk that notes what is looked for."""

    desk: Desk
    queries: Queries

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        self.queries.append((kind, query))
        return self.desk.find(kind, query, limit=limit, sort=sort)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read, by which queries, and the revisions that it had."""

    queries: Queries
    revisions: str
    catalogue: Catalogue


class Catalogues:
    """Remembers what was read; may be used from any thread."""

    def __init__(self, read: Read) -> None:
        """Remember nothing yet.

        Args:
            read: Returns offerings with everything below them.
        """
        self._read = read
        self._known: dict[tuple[str, frozenset[str]], _Known] = {}

    def of(self, desk: Desk, offerings: frozenset[str]) -> Catalogue:
        """Return offerings, by their ids, with everything below them."""
        if not isinstance(desk, BoundDesk) or desk.circumstances.parties is not None:
            return self._read(desk, offerings)  # it sees something else than others do
        key = (desk.tenant, offerings)
        known = self._known.get(key)
        if known is None or desk.revisions(known.queries) != known.revisions:
            known = self._anew(desk, offerings)
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = known
        return known.catalogue

    def _anew(self, desk: BoundDesk, offerings: frozenset[str]) -> _Known:
        """Read twice, and the revisions in between: what is the same both times had these."""
        while True:
            queries: Queries = []
            before = self._read(cast("Desk", _Reading(desk, queries)), offerings)
            revisions = desk.revisions(queries)
            if self._read(desk, offerings) == before:
                return _Known(queries, revisions, before)
