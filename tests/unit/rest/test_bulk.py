import json
from types import SimpleNamespace

import pytest

from tmf_apis.rest.http.bulk import BulkHandler
from tmf_apis.rest.http.messages import Request
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings

#: A contract without operations: each operation of a patch is answered with 405.
API = SimpleNamespace(contract=SimpleNamespace(number="TMF620", version="v5", operations=()))
COLLECTION = SimpleNamespace(resource="category")

PATCH_HEADERS = {"content-type": "application/json-patch+json"}


@pytest.mark.parametrize(
    ("seconds", "statuses"), [(0.0, [405] * 4), (60.0, [405] * 4), (1e-9, [405, 503, 503, 503])]
)
def test_no_operation_starts_after_the_time_of_the_request(seconds, statuses):
    body = json.dumps([{"op": "add", "path": "/-", "value": {"name": "x"}}] * 4).encode()
    request = Request("PATCH", "", "/category", "", PATCH_HEADERS, body, Identity("me", "default"))
    handler = BulkHandler(None, Settings(bulk_seconds=seconds), None)
    response = handler.patch(API, COLLECTION, request)
    assert response.status == 207
    assert [outcome["status"] for outcome in json.loads(response.body)] == statuses
