"""Ids of files: a resource is readable at its own href by every client, or it is refused."""

import json
import random
import shutil
import subprocess
import sys
import unicodedata
import urllib.request

import httpx
import pytest

CATALOG = "/tmf-api/productCatalogManagement"
#: Ids that a network element, a spreadsheet or another system has.
READABLE = [
    "a/b", "a%2Fb", "a%b", "%", "%00", "..a", "...", "a/../b", "/", "//", "a/", "/a", "../../hub",
    "gw-1:ge-0/0/1 #2", "port 7", "a?b=c", "a#b", "a;b", "a:b", "a(b)", "a,b", "x.", "a+b", "a&b=c",
    "a\\b", "~", "*", "'", '"', "<a>", "hub",
    "caf\u00e9", "cafe\u0301", "\u7f51\u7edc", "\U0001f600",
    "a:(version=1)", "n" * 256, "\U00020000" * 256, "x'||'1", "$ref", "__proto__",
]  # fmt: skip
REFUSED = [
    ".", "..", "", " ", " a", "a ", "a\n", "a\tb", "\0", "a\x7f", "\u200b", "\u202ea", "\u2028",
    "\u00a0", "n" * 257, 7, True, ["a"], {"a": 1},
]  # fmt: skip


def random_ids(count):
    """Return ids of printable characters of any script, the same in each run."""
    source = random.Random(20260101)  # noqa: S311 - not a secret
    ids = set()
    while len(ids) < count:
        characters = [chr(source.choice((source.randrange(33, 127), source.randrange(0x11000))))
                      for _ in range(source.randint(1, 12))]  # fmt: skip
        text = "".join(c for c in characters if unicodedata.category(c)[0] not in "CZ")
        if text and text not in {".", ".."}:
            ids.add(text)
    return sorted(ids)


@pytest.fixture
def import_rows(authenticated_server, api, tenant):
    """Import rows as categories; return the finished job."""

    def run(rows):
        area = authenticated_server.folder / "files" / f"tenant-{tenant}"
        area.mkdir(parents=True)
        (area / "in").write_text("\n".join(map(json.dumps, rows)))
        job = {"@type": "ImportJob", "url": "file:in"}
        job = api.post(f"{CATALOG}/v5/importJob", json=job).json()
        while job["status"] not in {"Failed", "Succeeded"}:
            job = api.get(job["href"]).json()
        return job

    return run


def categories(ids):
    return [{"@type": "Category", "id": id, "name": "c"} for id in ids]


def clients(api):
    """Return functions that return the id of the resource that a client reads at a URL."""
    authorization = {"Authorization": api.headers["authorization"]}

    def urllib_id(url):
        request = urllib.request.Request(url, headers=authorization)  # noqa: S310 - our server
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)["id"]

    def curl_id(url):
        command = ["curl", "-sS", "-H", f"Authorization: {authorization['Authorization']}", url]
        output = subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603
        return json.loads(output)["id"]

    readers = [urllib_id, lambda url: httpx.get(url, headers=authorization).json()["id"]]
    if (requests := sys.modules.get("requests")) is not None:
        readers.append(lambda url: requests.get(url, headers=authorization, timeout=9).json()["id"])
    return readers, [curl_id] if shutil.which("curl") else []


def test_every_accepted_id_is_read_at_its_href_by_every_client(api, import_rows):
    ids = READABLE + random_ids(20)
    job = import_rows(categories(ids))
    assert job["status"] == "Succeeded", job
    readers, slow_readers = clients(api)
    for version in ("v4", "v5"):
        resources = api.get(f"{CATALOG}/{version}/category?limit=999").json()
        hrefs = {resource["id"]: resource["href"] for resource in resources}
        assert set(hrefs) == set(ids)
        assert all(href.isascii() for href in hrefs.values())
        for id, href in hrefs.items() if version == "v5" else ():
            chosen = readers + (slow_readers if id in READABLE[:12] else [])
            assert [read(href) for read in chosen] == [id] * len(chosen)


def test_a_resource_with_such_an_id_is_changed_filtered_and_deleted(api, import_rows):
    assert import_rows(categories(READABLE))["status"] == "Succeeded"
    for id in READABLE[:18]:
        [resource] = api.get(f"{CATALOG}/v4/category", params={"id": id}).json()
        assert resource["id"] == id
        changed = api.patch(resource["href"], json={"description": "new"})
        assert (changed.status_code, changed.json()["id"]) == (200, id), changed.text
        assert api.delete(resource["href"]).status_code == 204
        assert api.get(resource["href"]).status_code == 404


def test_an_id_that_some_client_cannot_read_is_refused(api, import_rows):
    job = import_rows(categories(REFUSED))
    errors = job["errorLog"].split("\n")
    assert len(errors) == len(REFUSED), errors
    assert all("/id: " in error for error in errors)
    assert api.get(f"{CATALOG}/v5/category").json() == []


def test_an_encoded_slash_does_not_lead_to_another_path(api):
    for path in ("category%2F1", "category/1%2F", "%2Fcategory/1", "category/..%2Fhub%2F1"):
        assert api.get(f"{CATALOG}/v5/{path}").status_code == 404, path
