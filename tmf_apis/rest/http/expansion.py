"""The directives ``expand`` and ``depth``: references replaced by the resources that they name.

    expand=productOrderItem.product     the references of an attribute, by its dotted path
    expand=*   depth=1                  all references
    depth=0                             none, which is the default

References of the answer are expanded to one level, with one query for each kind. A resource that
the client cannot read, or for whose API the token has no scope, stays a reference, as does one that
does not exist or that another system has: all take the same queries. Personal values are masked as
they are in the resource itself.

Source: TMF630 part 2, "Depth and expand directives".
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tmf_apis.errors import FAULT_LIMIT, FeatureNotImplemented, Forbidden, InvalidQuery, quoted
from tmf_apis.rest.contracts.contract import Contract, Operation
from tmf_apis.rest.contracts.reference_schema import ReferenceNode, ReferenceSchema, references_of
from tmf_apis.rest.http.messages import Request
from tmf_apis.rest.http.rendering import ResourceRenderer
from tmf_apis.rest.pipeline.party_guard import PartyGuard
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings
from tmf_apis.store.resources import ResourceStore

Path = tuple[str, ...]
#: The parameters of this module.
DIRECTIVES = frozenset({"expand", "depth"})
#: The actions whose answers can be expanded.
EXPANDABLE_ACTIONS = frozenset({"list", "retrieve"})
#: The members of a document that a resource is rendered from.
PROJECTION = {"id": 1, "rev": 1, "body": 1, "loose": 1}
_ALL = "*"
#: The attributes of a reference that are copies of those of the resource.
_COPIED_ATTRIBUTES = frozenset(
    {"id", "href", "name", "version", "@type", "@baseType", "@schemaLocation"}
)
#: Most paths in ``expand``.
_MAX_PATHS = 20


@dataclass(frozen=True, slots=True)
class Expansion:
    """The references to expand.

    Attributes:
        paths: The attributes; None: all references.
    """

    paths: frozenset[Path] | None


@dataclass(slots=True)
class _Occurrence:
    """A reference in an answer: the object and its kind and id."""

    holder: dict[str, Any]
    key: tuple[str, str]


class ReferenceExpander:
    """Expands the references of answers."""

    def __init__(
        self,
        contracts: Iterable[Contract],
        resources: ResourceStore,
        renderer: ResourceRenderer,
        guard: PartyGuard,
        settings: Settings,
    ) -> None:
        self._resources = resources
        self._renderer = renderer
        self._guard = guard
        self._settings = settings
        #: Scopes that a client needs to read a kind in a version.
        self._scopes: dict[tuple[str, str], tuple[str, ...]] = {
            (operation.kind, contract.version): operation.scopes
            for contract in contracts
            for operation in contract.operations
            if operation.action == "retrieve" and operation.kind
        }

    def requested(self, operation: Operation, request: Request) -> Expansion | None:
        """Return the references that a request asks to expand; None without the directives.

        Raises:
            InvalidQuery: A path is not that of a reference, or the directives contradict each
                other (HTTP 400).
            FeatureNotImplemented: More than one level is requested (HTTP 501).
        """
        if not any(name in DIRECTIVES for name, _ in request.parameters()):
            return None
        depth = _depth(request.parameter("depth"))
        texts = [value for name, value in request.parameters() if name == "expand"]
        names = [n for text in texts for name in text.split(",") if (n := name.strip(" "))]
        if depth == 0 and names:
            raise InvalidQuery("depth=0 expands nothing, which contradicts expand; leave one out")
        if not names:
            return Expansion(None) if depth == 1 else None
        if _ALL in names:
            return Expansion(None)
        if len(names) > _MAX_PATHS:
            raise InvalidQuery(f"expand: at most {_MAX_PATHS} attributes")
        schema = self._guard.extractor(operation.kind).schema
        return Expansion(frozenset(_reference_path(schema, name) for name in names))

    def expanded(
        self,
        kind: str,
        version: str,
        request: Request,
        resources: Sequence[Resource],
        expansion: Expansion,
    ) -> list[Resource]:
        """Return resources with their references expanded.

        Args:
            kind: The kind of the resources.
            version: The client's version.
            request: The request.
            resources: The resources in the client's form; they are not changed.
            expansion: The references to expand.

        Raises:
            InvalidQuery: There are too many references, or too much would be returned (HTTP 400).
        """
        copies: list[Resource] = orjson.loads(orjson.dumps(list(resources)))
        schema = self._guard.extractor(kind).schema
        occurrences = [
            occurrence
            for resource in copies
            for occurrence in _occurrences(schema, schema.root, resource, (), expansion)
        ]
        limit = self._settings.expand_limit
        if len(occurrences) > limit:
            raise InvalidQuery(
                f"expand: the answer has {len(occurrences)} references to expand; allowed: {limit};"
                " name fewer attributes, or a smaller limit"
            )
        targets = self._targets(version, request, {each.key for each in occurrences})
        size = 0
        for occurrence in occurrences:
            if target := targets.get(occurrence.key):
                size += len(target)
                if size > self._settings.page_bytes:
                    raise InvalidQuery(
                        f"expand: the expanded references have more than"
                        f" {self._settings.page_bytes} bytes; name fewer attributes, or a smaller"
                        " limit"
                    )
                _replace(occurrence.holder, orjson.loads(target))
        return copies

    def _targets(
        self, version: str, request: Request, keys: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], bytes]:
        """Return the JSON of the targets that the client may read, by kind and id."""
        ids: dict[str, set[str]] = {}
        for kind, id in keys:
            ids.setdefault(kind, set()).add(id)
        targets: dict[tuple[str, str], bytes] = {}
        for kind, wanted in sorted(ids.items()):
            served = self._readable_version(kind, version, request.identity)
            if served:
                targets |= self._read(kind, served, request, wanted)
        return targets

    def _readable_version(self, kind: str, version: str, identity: Identity) -> str:
        """Return the version in which a client can read a kind: its own, or for v5 also v4."""
        for candidate in (version, "v4") if version == "v5" else (version,):
            if (scopes := self._scopes.get((kind, candidate))) is not None:
                return candidate if _has_scopes(identity, scopes) else ""
        return ""

    def _read(
        self, kind: str, version: str, request: Request, ids: Iterable[str]
    ) -> dict[tuple[str, str], bytes]:
        identity = request.identity
        keys = [f"{identity.tenant}:{id}" for id in sorted(ids)]
        documents = self._resources.find_many(
            kind,
            {"_id": {"$in": keys}, **identity.read_filter()},
            PROJECTION,
            masked=not identity.sees_personal_data,
            is_page=True,
        )
        return {
            (kind, document["id"]): orjson.dumps(
                self._renderer.resource(kind, version, request.base_url, document)
            )
            for document in documents
        }


def content_etag(content: bytes) -> str:
    """Return a strong entity tag of a whole representation, as preconditions compare it."""
    return f"x{hashlib.sha256(content).hexdigest()[:32]}"


def refuse_directives(request: Request) -> None:
    """Refuse ``expand`` and ``depth`` in a request that does not support them.

    Raises:
        FeatureNotImplemented: The request has one (HTTP 501).
    """
    for name, value in request.parameters():
        if name in DIRECTIVES and not (name == "depth" and value == "0"):
            raise FeatureNotImplemented(
                f"{name} is supported by GET of resources and of lists only; leave it out here"
            )


def _depth(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 4):  # noqa: PLR2004
        raise InvalidQuery(f"depth is 0 or 1, not {quoted(text)}")
    if int(text) > 1:
        raise FeatureNotImplemented(
            f"depth={int(text)} is not supported: references are expanded to one level (depth=1)"
        )
    return int(text)


def _has_scopes(identity: Identity, scopes: Iterable[str]) -> bool:
    try:
        identity.require_scopes(scopes)
    except Forbidden:
        return False
    return True


def _reference_path(schema: ReferenceSchema, name: str) -> Path:
    """Return the path of a reference that a client names.

    Raises:
        FeatureNotImplemented: It is JSONPath (HTTP 501).
        InvalidQuery: The contract has no such reference (HTTP 400).
    """
    if any(character in name for character in "$[?("):
        raise FeatureNotImplemented(f"expand: JSONPath ({quoted(name)}) is not supported; a.b is")
    path = tuple(name.split("."))
    node: ReferenceNode | None = schema.root
    for segment in path:
        node = node.attribute(segment) if node else None
    if node is None or not node.target or node.is_plain:
        known = sorted(
            {
                ".".join(known_path)
                for known_path, known_node in references_of(schema)
                if not known_node.is_plain and len(known_path) <= 2  # noqa: PLR2004
            },
            key=lambda text: (text.count("."), text),
        )
        names = ", ".join(known[:FAULT_LIMIT])
        more = f" and {len(known) - FAULT_LIMIT} more" if len(known) > FAULT_LIMIT else ""
        raise InvalidQuery(f"expand: {quoted(name)} is not a reference; these are: {names}{more}")
    return path


def _occurrences(
    schema: ReferenceSchema,
    node: ReferenceNode,
    value: Any,  # noqa: ANN401
    path: Path,
    expansion: Expansion,
) -> Iterator[_Occurrence]:
    """Yield the references to expand in a value; those inside an expanded one are left."""
    if isinstance(value, list):
        for item in value:
            yield from _occurrences(schema, node, item, path, expansion)
    elif isinstance(value, dict):
        is_named = bool(path) and (expansion.paths is None or path in expansion.paths)
        if is_named and node.target and (key := _target_key(schema, node, value)):
            yield _Occurrence(value, key)
            return
        for name, member in value.items():
            if isinstance(member, dict | list) and (child := node.attribute(name)) is not None:
                yield from _occurrences(schema, child, member, (*path, name), expansion)


def _target_key(
    schema: ReferenceSchema, node: ReferenceNode, value: Mapping[str, Any]
) -> tuple[str, str] | None:
    """Return kind and id of the resource that a reference names; None if it is not of a kind."""
    id = value.get("id")
    if not isinstance(id, str) or not id:
        return None
    kind = node.kind or schema.kind_of_type(value.get("@referredType"))
    return (kind, id) if kind else None


def _replace(reference: dict[str, Any], target: Resource) -> None:
    """Turn a reference into the resource that it names.

    Its own attributes stay, such as the role of a party, the period of a relationship, or the
    characteristics that an order asks of a product; only the copies in a reference are replaced.
    """
    own = {n: v for n, v in reference.items() if n not in target or n not in _COPIED_ATTRIBUTES}
    reference.clear()
    reference.update(target)
    reference.update(own)
