"""The form of documents in the database; a codec encrypts parts of them.

``ResourceStore`` encodes each document that it writes and decodes each document that it reads, so
nothing above it handles encrypted values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tmf_apis.security.identity import Identity
from tmf_apis.security.personal_attributes import Coverage

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EncodedUpdate:
    """An update in the form of the database.

    Attributes:
        old_body: The body that the database has now; None: unknown.
        changes: The members to set.
        events: The events to append.
        removed: The members to remove.
    """

    old_body: Document | None
    changes: Mapping[str, Any]
    events: list[Document]
    removed: Sequence[str] = field(default=())


class BlindIndex(Protocol):
    """Finds encrypted values of one kind by their tokens, for the queries of one client.

    Attributes:
        is_permitted: The client may query personal values.
        is_searchable: The index has tokens at all.
        is_complete: All documents are in the index.
    """

    is_permitted: bool
    is_searchable: bool
    is_complete: bool

    def coverage(self, path: str) -> Coverage:
        """Return how the values at a path of the stored form are covered."""

    def value_tokens(self, path: str, values: Sequence[Any]) -> list[bytes]:
        """Return the tokens of values at a path."""

    def prefix_tokens(self, path: str, prefix: str) -> list[bytes]:
        """Return the tokens of the beginning of a name; empty if it cannot be found."""


class DocumentCodec(Protocol):
    """Encodes and decodes the documents of resources."""

    def encode_new(self, kind: str, documents: Sequence[Document]) -> list[Document]:
        """Return new documents in the form of the database."""

    def encode_update(
        self, kind: str, old: Document, changes: Mapping[str, Any], events: list[Document]
    ) -> EncodedUpdate:
        """Return an update in the form of the database.

        Args:
            kind: The kind.
            old: The document as it was read, decoded.
            changes: Members to set, among them ``body``.
            events: Events to append.
        """

    def encode_removal(
        self, kind: str, key: str, events: list[Document], marker: Document | None
    ) -> tuple[list[Document], Document | None]:
        """Return the events and the pending side effect of a deletion."""

    def read_projection(
        self, kind: str, projection: Mapping[str, Any] | None, *, masked: bool
    ) -> Mapping[str, Any] | None:
        """Return the projection that reads what ``decode`` needs for a projection."""

    def decode(self, kind: str, documents: Sequence[Document], *, masked: bool) -> None:
        """Decode documents in place.

        Args:
            kind: The kind.
            documents: Documents that were read with ``read_projection``.
            masked: Leave personal values out.
        """

    def open_texts(
        self, kind: str, document_key: str, holder: Mapping[str, Any]
    ) -> Mapping[str, bytes]:
        """Return the complete JSON of a response that is stored with an Idempotency-Key.

        Args:
            kind: The kind.
            document_key: The ``_id`` of the document.
            holder: The stored key, with its member ``text``.
        """

    def blind_index(self, kind: str, identity: Identity) -> BlindIndex | None:
        """Return the blind index of a kind for a client; None: the kind has no personal values."""


class PlainCodec:
    """Stores documents as they are."""

    def encode_new(self, kind: str, documents: Sequence[Document]) -> list[Document]:  # noqa: ARG002
        """Return the documents."""
        return list(documents)

    def encode_update(
        self,
        kind: str,  # noqa: ARG002
        old: Document,
        changes: Mapping[str, Any],
        events: list[Document],
    ) -> EncodedUpdate:
        """Return the update."""
        return EncodedUpdate(old["body"], changes, events)

    def encode_removal(
        self,
        kind: str,  # noqa: ARG002
        key: str,  # noqa: ARG002
        events: list[Document],
        marker: Document | None,
    ) -> tuple[list[Document], Document | None]:
        """Return the events and the marker."""
        return events, marker

    def read_projection(
        self,
        kind: str,  # noqa: ARG002
        projection: Mapping[str, Any] | None,
        *,
        masked: bool,  # noqa: ARG002
    ) -> Mapping[str, Any] | None:
        """Return the projection."""
        return projection

    def decode(self, kind: str, documents: Sequence[Document], *, masked: bool) -> None:
        """Leave the documents as they are."""

    def open_texts(
        self,
        kind: str,  # noqa: ARG002
        document_key: str,  # noqa: ARG002
        holder: Mapping[str, Any],
    ) -> Mapping[str, bytes]:
        """Return the text."""
        text: Mapping[str, bytes] = holder["text"]
        return text

    def blind_index(self, kind: str, identity: Identity) -> None:
        """Return None: nothing is encrypted."""
