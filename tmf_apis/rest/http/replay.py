"""Repetitions of a POST with the same ``Idempotency-Key``, which get the first response again."""

import time

from tmf_apis.errors import InvalidQuery, Unprocessable
from tmf_apis.rest.contracts.contract import Operation
from tmf_apis.rest.http.messages import Request
from tmf_apis.rest.pipeline.idempotency import IdempotencyKey
from tmf_apis.rest.pipeline.write_access import WriteResult
from tmf_apis.settings import Settings
from tmf_apis.store.connection import translate_errors
from tmf_apis.store.resources import ResourceStore

#: Longest Idempotency-Key, in characters.
_MAX_KEY_LENGTH = 255


def request_key(
    operation: Operation, request: Request, settings: Settings
) -> IdempotencyKey | None:
    """Return the idempotency key of a request; None if it has none.

    Raises:
        InvalidQuery: The key is empty or too long (HTTP 400).
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= _MAX_KEY_LENGTH:
        raise InvalidQuery(f"an Idempotency-Key has 1 to {_MAX_KEY_LENGTH} characters")
    identity = request.identity
    owners = identity.owners
    parties = "" if owners is None else ",".join(map(_escape, owners))
    client = (identity.tenant, _escape(identity.subject), parties)
    return IdempotencyKey.from_request(
        (*client, request.path, operation.operation_id, key),
        request.body,
        hours=settings.idempotency_hours,
    )


def _escape(text: str) -> str:
    """Return a text without separators, so that no two clients have the same scope.

    >>> _escape("a,b"), _escape("42")
    ('a%2Cb', '42')
    """
    return text.replace("%", "%25").replace(",", "%2C").replace("\0", "%00")


def find_first_result(
    resources: ResourceStore, kind: str, idempotency: IdempotencyKey
) -> WriteResult | None:
    """Return the result of the first request with a key; None if there was none.

    Raises:
        Unprocessable: The first request had another body (HTTP 422).
    """
    collection = resources.collection(kind)
    query = {"tenant": idempotency.tenant, "idem.key": idempotency.key}
    with translate_errors():
        members = {"id": 1, "idem": 1, "body": 1}
        projection = resources.codec.read_projection(kind, members, masked=False)
        document = collection.find_one(query, projection)
        if document is None:
            return None
        first = document["idem"]
        if first["until"] < time.time():
            collection.update_one({"_id": document["_id"], **query}, {"$unset": {"idem": ""}})
            return None
    if first["hash"] != idempotency.body_hash:
        raise Unprocessable("the Idempotency-Key was used before with another body")
    resources.codec.decode(kind, [document], masked=False)
    text = resources.codec.open_texts(kind, document["_id"], first)
    return WriteResult(document["id"], 1, document["body"], text, is_changed=False)
