"""Cache of catalogue entries, valid for as long as the database holds the same revisions.

Most orders within an hour are for a few offerings, and reading an offering with everything below
it takes five queries for whole documents. The cache repeats these queries for revisions only, in
one aggregation, and so notices changed, new and deleted entries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tmf_apis.fulfilment.design.catalog import Catalog
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Largest number of sets of offerings in a cache.
MAX_ENTRIES = 200

Queries = list[tuple[str, Mapping[str, Any]]]


class ResourceFinder(Protocol):
    """The part of a repository that reading a catalogue needs."""

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        """Return resources whose stored form matches a query; see ``Repository.find``."""


ReadCatalog = Callable[[ResourceFinder, frozenset[str]], Catalog]


@dataclass(slots=True)
class _RecordingFinder:
    """Passes queries on to a repository and records them."""

    repository: ResourceFinder
    queries: Queries = field(default_factory=list)

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        self.queries.append((kind, query))
        return self.repository.find(kind, query, limit=limit, sort=sort)


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    """A catalogue, the queries that read it and the fingerprint of their results."""

    queries: Queries
    fingerprint: str
    catalog: Catalog


class CatalogCache:
    """Caches the catalogue entries of sets of offerings; safe for use by several threads."""

    def __init__(self, read_catalog: ReadCatalog) -> None:
        """Create an empty cache.

        Args:
            read_catalog: Reads offerings, given by their ids, with everything below them.
        """
        self._read_catalog = read_catalog
        self._entries: dict[tuple[str, frozenset[str]], _CacheEntry] = {}

    def get(self, repository: Repository, offerings: frozenset[str]) -> Catalog:
        """Return offerings with everything below them.

        Args:
            repository: Reads the catalogue. The result is not cached if the repository sees only
                the resources of certain parties.
            offerings: Ids of the offerings.
        """
        if not repository.context.is_staff:
            return self._read_catalog(repository, offerings)
        key = (repository.tenant, offerings)
        entry = self._entries.get(key)
        if entry is None or repository.revision_fingerprint(entry.queries) != entry.fingerprint:
            entry = self._read_consistently(repository, offerings)
            if len(self._entries) >= MAX_ENTRIES:
                self._entries.clear()
            self._entries[key] = entry
        return entry.catalog

    def _read_consistently(self, repository: Repository, offerings: frozenset[str]) -> _CacheEntry:
        """Read the catalogue before and after its fingerprint until both readings are equal."""
        while True:
            finder = _RecordingFinder(repository)
            catalog = self._read_catalog(finder, offerings)
            fingerprint = repository.revision_fingerprint(finder.queries)
            if self._read_catalog(repository, offerings) == catalog:
                return _CacheEntry(finder.queries, fingerprint, catalog)
