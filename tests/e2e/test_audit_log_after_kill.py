"""Each change has its entry in the audit log after the whole server was killed."""

import threading
from contextlib import suppress

import httpx
import pytest

from tests.support.server import ALL_SCOPES, ServerProcess
from tests.support.waiting import wait_until

CATEGORIES = "/tmf-api/productCatalogManagement/v5/category"
MERGE = {"Content-Type": "application/merge-patch+json"}
ADMIN = (*ALL_SCOPES, "admin")


@pytest.fixture
def served(tmp_path):
    server = ServerProcess(tmp_path / "data", TMF_AUTH="on")
    yield server.start()
    server.stop()


def write_until_killed(served, token):
    """Create and change categories until the server no longer answers."""
    with suppress(httpx.HTTPError), served.client(token) as client:
        for number in range(100_000):
            new = {"@type": "Category", "name": str(number)}
            created = client.post(CATEGORIES, json=new)
            if created.status_code == 201:
                client.patch(created.json()["href"], json={"description": "x"}, headers=MERGE)


def all_pages(client, path, **query):
    rows = []
    while True:
        page = client.get(path, params={**query, "limit": 1000, "offset": len(rows)}).json()
        rows += page
        if len(page) < 1000:
            return rows


def test_a_killed_server_leaves_no_change_without_its_entry(served):
    token = served.token(scopes=ADMIN)
    writers = [threading.Thread(target=write_until_killed, args=(served, token)) for _ in range(3)]
    for writer in writers:
        writer.start()
    with served.client(token) as client:
        wait_until(lambda: len(client.get(f"{CATEGORIES}?limit=100").json()) >= 60, timeout=60)
    served.kill()
    for writer in writers:
        writer.join()
    served.start()
    with served.client(token) as client:
        stored = {
            row["id"]: [1, 2] if row.get("description") else [1]
            for row in all_pages(client, CATEGORIES)
        }

        def recorded():
            revisions = {}
            for row in all_pages(client, "/admin/audit-log", kind="Category", outcome="done"):
                revisions.setdefault(row["resource"], []).append(row["revision"])
            return {id: sorted(numbers) for id, numbers in revisions.items()}

        wait_until(lambda: recorded() == stored, timeout=60, pause=0.5)
        assert len(stored) >= 60
