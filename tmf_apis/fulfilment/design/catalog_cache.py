"""What the catalogues say of offerings, kept for as long as the database has the same revisions.

Orders of one hour are for a few offerings, and each takes five reads of whole documents to
understand. One question for nothing but revisions says whether what was read last time still
stands; it repeats the very queries, so something that has come is seen, too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from tmf_apis.fulfilment.design.offers import Catalog
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import ScopedRepository

#: Most sets of offerings that are remembered.
MAX_ENTRIES = 200

Queries = list[tuple[str, Mapping[str, Any]]]
ReadCatalog = Callable[[Repository, frozenset[str]], Catalog]


@dataclass(slots=True)
class _RecordingRepository:
    """A desk that notes what is looked for."""

    repository: Repository
    queries: Queries

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        self.queries.append((kind, query))
        return self.repository.find(kind, query, limit=limit, sort=sort)


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    """What was read, by which queries, and the revisions that it had."""

    queries: Queries
    revisions: str
    catalog: Catalog


class CatalogCache:
    """Remembers what was read; may be used from any thread."""

    def __init__(self, read_catalog: ReadCatalog) -> None:
        """Remember nothing yet.

        Args:
            read_catalog: Returns offerings with everything below them.
        """
        self._read_catalog = read_catalog
        self._entries: dict[tuple[str, frozenset[str]], _CacheEntry] = {}

    def get(self, repository: Repository, offerings: frozenset[str]) -> Catalog:
        """Return offerings, by their ids, with everything below them."""
        if not isinstance(repository, ScopedRepository) or repository.context.parties is not None:
            return self._read_catalog(
                repository, offerings
            )  # it sees something else than others do
        key = (repository.tenant, offerings)
        known = self._entries.get(key)
        if known is None or repository.revision_fingerprint(known.queries) != known.revisions:
            known = self._read_consistently(repository, offerings)
            if len(self._entries) >= MAX_ENTRIES:
                self._entries.clear()
            self._entries[key] = known
        return known.catalog

    def _read_consistently(
        self, repository: ScopedRepository, offerings: frozenset[str]
    ) -> _CacheEntry:
        """Read twice, and the revisions in between: what is the same both times had these."""
        while True:
            queries: Queries = []
            before = self._read_catalog(
                cast("Repository", _RecordingRepository(repository, queries)), offerings
            )
            revisions = repository.revision_fingerprint(queries)
            if self._read_catalog(repository, offerings) == before:
                return _CacheEntry(queries, revisions, before)
