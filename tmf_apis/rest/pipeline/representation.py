"""The JSON of a resource, built when it is written.

The stored fragment of an API version is everything after the base URL of the href, so that a
response is a concatenation of bytes: ``{"id":"42","href":"`` base ``/tmf-api/…/42","name":"x"}``.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import orjson

from tmf_apis.rest.views import versions
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.rest.views.served_forms import ServedForms

Resource = dict[str, Any]
VERSIONS = ("v4", "v5")


def json_fragments(  # noqa: PLR0913
    kinds: KindRegistry,
    kind: str,
    id: str,
    body: Resource,
    forms: ServedForms,
    *,
    types_incomplete: bool,
    trusted: Collection[str] = (),
) -> tuple[dict[str, bytes], list[str]]:
    """Return the JSON of each API version, starting after the base URL of the href.

    Args:
        kinds: The kinds that are served.
        kind: The kind.
        id: The resource's id.
        body: Its stored form.
        forms: The forms of the versions.
        types_incomplete: Nested objects may lack the types that v5 requires.
        trusted: The versions in which the form has been validated already.

    Returns:
        The JSON, and the versions whose form had to be repaired.
    """
    fragments, reshaped = {}, []
    previous: Resource | None = None
    rest = b""
    for version in VERSIONS:
        if kinds.is_served(kind, version):
            members, is_repaired = forms.form(
                kind, version, body, types_incomplete=types_incomplete, trusted=trusted
            )
            if is_repaired:
                reshaped.append(version)
            if members is not previous:  # most resources are the same in both versions
                rest = (b'",' if members else b'"') + orjson.dumps(members)[1:]
                previous = members
            fragments[version] = kinds.resource_path(kind, version, id, body).encode() + rest
    return fragments, reshaped


def resource_json(id: str, base: str, fragment: bytes) -> bytes:
    """Return the JSON of one resource.

    >>> resource_json("42", "http://here", b'/x/42","name":"n"}')
    b'{"id":"42","href":"http://here/x/42","name":"n"}'
    """
    return b'{"id":' + orjson.dumps(id) + b',"href":"' + base.encode() + fragment


def array_json(items: Iterable[tuple[str, bytes]], base: str) -> bytes:
    """Return the JSON array of several resources, each given as its id and fragment."""
    middle = b',"href":"' + base.encode()
    parts = [b'{"id":' + orjson.dumps(id) + middle + fragment for id, fragment in items]
    return b"[" + b",".join(parts) + b"]"


def array_parts(items: Iterable[tuple[str, bytes]], base: str) -> Iterator[bytes]:
    """Yield the parts of the JSON array of several resources, one resource at a time.

    >>> b"".join(array_parts([("1", b'/1"}'), ("2", b'/2"}')], "http://x"))
    b'[{"id":"1","href":"http://x/1"},{"id":"2","href":"http://x/2"}]'
    """
    separator = b"["
    for id, fragment in items:
        yield separator + resource_json(id, base, fragment)
        separator = b","
    yield b"]" if separator == b"," else b"[]"


def client_view(  # noqa: PLR0913, PLR0917
    kinds: KindRegistry, kind: str, version: str, id: str, base: str, body: Resource
) -> Resource:
    """Return a resource as the transforms of a version make it, id and href first."""
    return identified(
        kinds, kind, version, (id, base, body), versions.from_stored(kind, version, body)
    )


def identified(
    kinds: KindRegistry,
    kind: str,
    version: str,
    source: tuple[str, str, Resource],
    members: Resource,
) -> Resource:
    """Return the form of a resource in a version with its id and href first.

    Args:
        kinds: The kinds that are served.
        kind: The kind.
        version: "v4" or "v5".
        source: The id, the base URL and the stored form.
        members: The form.
    """
    id, base, body = source
    href = base + kinds.resource_path(kind, version, id, body)
    return {"id": id, "href": href, **members}


def etag(rev: int) -> str:
    """Return the entity tag of a resource's version.

    Source: RFC 9110, section 8.8.3.
    """
    return f'"{rev}"'
