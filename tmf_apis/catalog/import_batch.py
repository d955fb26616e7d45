"""Rows of an import file, written many at a time by the same rules as one at a time.

A batch never has a row that another row of it could depend on: a row that names a resource of the
batch, and a part of a tree or a bundle, is written after the rows before it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from tmf_apis.catalog import rules
from tmf_apis.catalog.definitions import CatalogDefinition
from tmf_apis.errors import NotFound, TmfError, Unavailable
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Most rows of a batch, and most bytes of their text: a batch does not delay other writes for long.
BATCH_ROWS, BATCH_BYTES = 100, 1 << 20
#: Largest number of errors in the error log; further errors are counted only.
MAX_LOGGED_ERRORS = 200

Edit = Callable[[Resource], Resource]


@dataclass(frozen=True, slots=True)
class Row:
    """A valid row of a file.

    Attributes:
        line: The line that it starts in.
        kind: Its kind.
        resource: Its stored form, with its id.
        size: The length of its text, in bytes.
    """

    line: int
    kind: str
    resource: Resource
    size: int

    @property
    def id(self) -> str:
        """The id of the resource."""
        return str(self.resource["id"])


@dataclass(slots=True)
class JobReport:
    """The results of a job so far."""

    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def count(self, outcome: str, rows: int = 1) -> None:
        """Count the outcome of rows."""
        if rows:
            self.counts[outcome] += rows

    def add_error(self, text: str) -> None:
        """Count an error, and add its text unless the log has ``MAX_LOGGED_ERRORS`` already."""
        self.counts["failed"] += 1
        if len(self.errors) < MAX_LOGGED_ERRORS:
            self.errors.append(text[:500])

    @property
    def error_log(self) -> str:
        """The errors, one a line."""
        more = self.counts["failed"] - len(self.errors)
        return "\n".join([*self.errors, *([f"and {more} more"] if more else [])])

    def progress_attributes(self) -> Resource:
        """Return the attributes of the job that show its progress."""
        progress: Resource = {"progress": dict(self.counts)}
        return {**progress, "errorLog": self.error_log} if self.errors else progress


class ImportBatch:
    """Creates or replaces the resources of a file."""

    def __init__(
        self, repository: Repository, definition: CatalogDefinition, report: JobReport
    ) -> None:
        """Create an empty batch.

        Args:
            repository: Where the resources are written.
            definition: The catalogue.
            report: Receives the outcome of each row.
        """
        self._repository = repository
        self._definition = definition
        self._report = report
        self._rows: list[Row] = []
        self._ids: set[str] = set()
        self._named_ids: set[str] = set()
        self._errors: list[tuple[int, TmfError]] = []

    def add_error(self, line: int, error: TmfError) -> None:
        """Add the error of an invalid row; errors are reported in the order of their lines."""
        self._errors.append((line, error))
        if len(self._errors) >= BATCH_ROWS:
            self.flush()

    def add(self, row: Row) -> None:
        """Write a row, now or with the rows that follow.

        Raises:
            Unavailable: The database does not answer (HTTP 503).
        """
        is_connected, ids = self._is_connected(row), set(_ids_in(row.resource))
        if is_connected or not self._ids.isdisjoint(ids) or row.id in self._named_ids:
            self.flush()
        self._rows.append(row)
        self._ids.add(row.id)
        self._named_ids |= ids
        size = sum(pending.size for pending in self._rows)
        if is_connected or len(self._rows) >= BATCH_ROWS or size >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are left.

        Raises:
            Unavailable: The database does not answer (HTTP 503).
        """
        rows, self._rows = self._rows, []
        self._ids, self._named_ids = set(), set()
        errors, self._errors = self._errors, []
        for kind in dict.fromkeys(row.kind for row in rows):
            errors += self._write(kind, [row for row in rows if row.kind == kind])
        for line, error in sorted(errors, key=lambda item: item[0]):
            self._report.add_error(f"line {line}: {error.message or error.reason}")

    def _is_connected(self, row: Row) -> bool:
        """Return whether a row is a part of a tree or graph that its check walks through."""
        is_in_tree = row.kind == self._definition.category_tree.kind
        return is_in_tree or bool(rules.component_ids(row.kind, row.resource))

    def _write(self, kind: str, rows: list[Row]) -> list[tuple[int, TmfError]]:
        """Write the rows of a kind; return lines and errors of those that are refused."""
        query = {"id": {"$in": [row.id for row in rows]}}
        stored = {old["id"]: old for old in self._repository.find(kind, query, limit=len(rows))}
        differing = self._replace(kind, stored, [row for row in rows if row.id in stored])
        refused = self._create(kind, [row for row in rows if row.id not in stored])
        errors = self._write_singly(kind, differing, changed="replaced")
        return errors + self._write_singly(kind, refused)

    def _create(self, kind: str, rows: list[Row]) -> list[Row]:
        """Create resources in one bulk write; return the rows that were refused."""
        outcomes = self._repository.create_each(kind, [row.resource for row in rows])
        refused = [row for row, error in zip(rows, outcomes, strict=True) if error is not None]
        self._report.count("created", len(rows) - len(refused))
        return refused

    def _replace(self, kind: str, stored: dict[str, Resource], rows: list[Row]) -> list[Row]:
        """Replace the stored resources that differ in one bulk write, or none if one is refused.

        Returns:
            The rows that differ and may not have been written.
        """
        edits: dict[str, Edit] = {}
        for row in rows:
            edit = partial(self._replaced, row)
            if edit(stored[row.id]) is stored[row.id]:
                self._report.count("unchanged")
            else:
                edits[row.id] = edit
        try:
            changed = self._repository.change_many(kind, edits) if edits else {}
        except Unavailable:
            raise
        except TmfError:
            changed = {}
        self._report.count("replaced", len(changed))
        return [row for row in rows if row.id in edits and row.id not in changed]

    def _write_singly(
        self, kind: str, rows: list[Row], *, changed: str = ""
    ) -> list[tuple[int, TmfError]]:
        """Write rows one after another; return lines and errors of those that are refused.

        ``changed`` is the outcome of rows that are known to change something; empty: see what each
        does.
        """
        errors = []
        for row in rows:
            try:
                outcome = self._create_or_replace(kind, row)
            except Unavailable:
                raise
            except TmfError as error:
                errors.append((row.line, error))
            else:
                self._report.count(changed or outcome)
        return errors

    def _create_or_replace(self, kind: str, row: Row) -> str:
        """Write one row; return ``created``, ``replaced`` or ``unchanged``."""
        try:
            old = self._repository.get(kind, row.id)
        except NotFound:
            self._repository.create(kind, row.resource)
            return "created"
        new = self._repository.change(kind, row.id, partial(self._replaced, row))
        is_same = _comparable_attributes(new) == _comparable_attributes(old)
        return "unchanged" if is_same else "replaced"

    def _replaced(self, row: Row, stored: Resource) -> Resource:
        """Return a stored resource with the attributes of a row; itself if nothing changes."""
        names = self._definition.server_maintained_attributes.get(row.kind, ())
        maintained = {name: stored[name] for name in names if name in stored}
        new = rules.with_defaults(
            row.kind, {**maintained, **row.resource, "lastUpdate": stored.get("lastUpdate")}
        )
        return stored if _comparable_attributes(new) == _comparable_attributes(stored) else new


def _comparable_attributes(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "href" and value is not None}


def _ids_in(value: object) -> Iterator[str]:
    """Yield the ids that a resource has and names."""
    if isinstance(value, dict):
        if isinstance(id := value.get("id"), str):
            yield id
        for member in value.values():
            if isinstance(member, dict | list):
                yield from _ids_in(member)
    elif isinstance(value, list):
        for item in value:
            yield from _ids_in(item)
