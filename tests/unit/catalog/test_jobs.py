"""Import and export jobs on real files and a local HTTP server."""

import gzip
import json
import os
import stat
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_repository import NOW, MemoryRepository, request_context
from tmf_apis.catalog import api_module, attribute_query, rules
from tmf_apis.catalog.definitions import CATALOG_DEFINITIONS
from tmf_apis.catalog.files import path_segments
from tmf_apis.catalog.formats import file_format
from tmf_apis.catalog.stream import decompressed_chunks, limited_chunks, raw_resources
from tmf_apis.errors import InvalidBody, InvalidQuery, TooLarge, Unavailable
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.security.identity import EVERYONE
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.settings import Settings

OFFERINGS = [
    {"@type": "ProductOffering", "id": str(number), "name": f"Fast {number}"} for number in range(3)
]


@pytest.fixture
def folder(tmp_path):
    """The file area of the default tenant."""
    area = tmp_path / "files" / "tenant-default"
    area.mkdir(parents=True)
    return area


@pytest.fixture
def new_repository(tmp_path):
    """A function that returns an empty repository with the given settings."""

    def make(**changes):
        loopback = OutboundPolicy(allow_loopback=True)
        settings = Settings(data_dir=tmp_path, **changes)
        return MemoryRepository(api_module(settings, outbound_policy=loopback).policies)

    return make


def lines(*resources):
    return b"".join(json.dumps(resource).encode() + b"\n" for resource in resources)


def run(repository, kind, url, **more):
    """Create a job, run it and return it."""
    job = repository.create(kind, {"@type": kind, "url": url, **more}, system=False)
    assert job["status"] == "Not Started"
    repository.policies[kind].run_in_background(repository, job)
    return repository.get(kind, job["id"])


def imported(repository, url, **more):
    return run(repository, "ImportJob", url, **more)


def exported(repository, url, **more):
    return run(repository, "ExportJob", url, **more)


@contextmanager
def serving(body=b"", status=200):
    """Run an HTTP server with one response to all requests; yield its URL and the requests."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            received.append((self.command, self.path, dict(self.headers), b""))
            self.respond()

        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.command, self.path, dict(self.headers), body))
            self.respond()

        def respond(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# Import


@pytest.mark.parametrize(
    "content",
    [
        lines(*OFFERINGS),
        lines(*OFFERINGS).strip(),
        lines(*OFFERINGS).replace(b"\n", b"\r\n\r\n"),
        b"\xef\xbb\xbf\n" + lines(*OFFERINGS),
        b"\xef\xbb\xbf" + lines(*OFFERINGS),
        json.dumps(OFFERINGS).encode(),
        json.dumps(OFFERINGS, indent=2).encode(),
        gzip.compress(lines(*OFFERINGS), mtime=0),
        gzip.compress(lines(*OFFERINGS[:1]), mtime=0)
        + gzip.compress(lines(*OFFERINGS[1:]), mtime=0),
        gzip.compress(json.dumps(OFFERINGS).encode(), mtime=0),
    ],
)
def test_a_file_is_imported_in_every_supported_form(content, new_repository, folder):
    (folder / "in").write_bytes(content)
    repository = new_repository()
    job = imported(repository, "file:in")
    assert (job["status"], job.get("errorLog")) == ("Succeeded", None)
    assert job["progress"] == {"lines": 3, "created": 3}
    assert job["completionDate"] >= rfc3339(NOW)
    assert repository.get("ProductOffering", "1")["name"] == "Fast 1"


def test_a_repeated_import_changes_nothing(new_repository, folder):
    nameless = {"@type": "Category", "name": "no id"}
    above = {"@type": "Category", "id": "top", "name": "top"}
    below = {"@type": "Category", "id": "leaf", "name": "leaf", "parent": {"id": "top"}}
    (folder / "in").write_bytes(lines(*OFFERINGS, nameless, above, below))
    repository = new_repository()
    assert imported(repository, "file:in")["progress"]["created"] == 6
    before = {
        kind: dict(entities)
        for kind, entities in repository.resources.items()
        if kind != "ImportJob"
    }
    again = imported(repository, "file:in")
    assert again["progress"] == {"lines": 6, "unchanged": 6}
    assert {k: v for k, v in repository.resources.items() if k != "ImportJob"} == before


def test_an_import_reports_invalid_lines_and_imports_the_others(new_repository, folder):
    wrong = [
        b"{not json",
        b"[]",
        b'{"@type": "Elephant", "name": "x"}',
        b'{"@type": "Category"}',
        b'{"@type": "Category", "name": "x", "id": 7}',
        (
            b'{"@type": "ProductOffering", "id": "b", "name": "x",'
            b' "bundledProductOffering": [{"id": "b"}]}'
        ),
        b'{"@type": "Category", "name": "x", "name": "y"}',
    ]
    (folder / "in").write_bytes(
        lines(OFFERINGS[0]) + b"\n".join(wrong) + b"\n" + lines(OFFERINGS[1])
    )
    repository = new_repository()
    job = imported(repository, "file:in")
    assert job["status"] == "Failed"
    assert job["progress"] == {"lines": 9, "created": 2, "failed": 7}
    errors = job["errorLog"].split("\n")
    assert [error.partition(":")[0] for error in errors] == [f"line {n}" for n in range(2, 9)]
    assert "part of itself" in errors[5]
    (folder / "in").write_bytes(lines(*OFFERINGS))
    assert imported(repository, "file:in")["progress"] == {"lines": 3, "unchanged": 2, "created": 1}


def test_errors_in_an_array_are_reported_by_line(new_repository, folder):
    (folder / "in").write_bytes(b'[\n{"@type":"Category","name":"a"},\n,\n7,\n{"x": "]"}\n] x')
    job = imported(new_repository(), "file:in")
    assert [error.partition(":")[0] for error in job["errorLog"].split("\n")] == [
        "line 3",
        "line 4",
        "line 5",
        "line 6",
    ]
    assert job["progress"]["created"] == 1


def test_an_interrupted_import_can_be_repeated(new_repository, folder):
    (folder / "in").write_bytes(lines(*OFFERINGS))
    repository = new_repository()
    job = repository.create("ImportJob", {"url": "file:in"}, system=False)
    repository.writes_until_crash = 2
    with pytest.raises(RuntimeError):
        repository.policies["ImportJob"].run_in_background(repository, job)
    repository.writes_until_crash = None
    assert repository.get("ImportJob", job["id"])["status"] == "Running"
    for _ in range(2):
        repository.policies["ImportJob"].run_in_background(repository, job)
        done = repository.get("ImportJob", job["id"])
        assert done["status"] == "Succeeded"
        assert done["progress"] == {"lines": 3, "unchanged": 1, "created": 2}


def test_an_imported_resource_replaces_the_existing_one(new_repository, folder):
    repository = new_repository()
    repository.create("ProductOffering", {**OFFERINGS[0], "description": "old"})
    (folder / "in").write_bytes(lines({**OFFERINGS[0], "name": "new", "href": "elsewhere"}))
    assert imported(repository, "file:in")["progress"]["replaced"] == 1
    stored = repository.get("ProductOffering", "0")
    assert stored["name"] == "new"
    assert not {"description", "href"} & stored.keys()


def test_path_or_base_type_determine_the_kind_of_an_unknown_type(new_repository, folder):
    odd = {"@type": "Fibre", "@baseType": "ProductSpecification", "name": "x"}
    (folder / "in").write_bytes(lines({"name": "x"}, odd, {"@type": "Catalog", "name": "x"}))
    repository = new_repository()
    imported(repository, "file:in", path="/tmf-api/productCatalogManagement/v5/category")
    assert [
        entity["@type"] for entity in repository.resources["ProductSpecification"].values()
    ] == ["Fibre"]
    assert [entity["@type"] for entity in repository.resources["ProductCatalog"].values()] == [
        "ProductCatalog"
    ]
    assert [entity["@type"] for entity in repository.resources["Category"].values()] == ["Category"]


def test_many_errors_are_counted_and_the_first_are_reported(new_repository, folder):
    (folder / "in").write_bytes(b"7\n" * 300)
    errors = imported(new_repository(), "file:in")["errorLog"].split("\n")
    assert (len(errors), errors[-1]) == (201, "and 100 more")


def test_a_resource_that_is_too_large_is_skipped(new_repository, folder):
    long = {**OFFERINGS[1], "description": "x" * 200_000}
    for content in (
        lines(OFFERINGS[0], long, OFFERINGS[2]),
        json.dumps([*OFFERINGS, long]).encode(),
    ):
        (folder / "in").write_bytes(content)
        job = imported(new_repository(resource_limit=1000), "file:in")
        assert "longer than 1000 bytes" in job["errorLog"]
        assert job["progress"]["failed"] == 1


def test_a_file_that_decompresses_to_too_many_bytes_fails_the_job(new_repository, folder):
    (folder / "in.gz").write_bytes(gzip.compress(lines(*OFFERINGS) + b" " * 50_000_000))
    job = imported(new_repository(job_bytes=1_000_000), "file:in.gz")
    assert (job["status"], job["progress"]["created"]) == ("Failed", 3)
    assert "larger than 1000000 bytes" in job["errorLog"]


def test_a_job_that_takes_too_long_fails(new_repository, folder):
    (folder / "in").write_bytes(lines(*OFFERINGS))
    assert (
        "took longer than 0 seconds"
        in imported(new_repository(job_seconds=0.0), "file:in")["errorLog"]
    )


def test_progress_is_stored_while_the_job_runs(new_repository, folder, monkeypatch):
    monkeypatch.setattr("tmf_apis.catalog.jobs.PROGRESS_INTERVAL", 0.0)
    (folder / "in").write_bytes(lines(*OFFERINGS, 7))
    repository = new_repository()
    job = imported(repository, "file:in")
    assert repository.write_log.count(("change", "ImportJob", job["id"])) == 6


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(lines(*OFFERINGS), mtime=0)[:-12], "is truncated"),
        (b"\x1f\x8b garbage", "invalid gzip"),
    ],
)
def test_damaged_gzip_is_reported(content, reason, new_repository, folder):
    (folder / "in").write_bytes(content)
    job = imported(new_repository(), "file:in")
    assert (job["status"], reason in job["errorLog"]) == ("Failed", True)


def test_an_empty_file_is_imported_without_error(new_repository, folder):
    (folder / "in").write_bytes(b"")
    job = imported(new_repository(), "file:in")
    assert (job["status"], job["progress"]) == ("Succeeded", {})


def test_each_resource_is_validated(tmp_path, folder):
    def accept(kind, resource):
        raise InvalidBody(f"/{kind}: not so")

    (folder / "in").write_bytes(lines(OFFERINGS[0]))
    repository = MemoryRepository(api_module(Settings(data_dir=tmp_path), validate=accept).policies)
    assert imported(repository, "file:in")["errorLog"] == "line 1: /ProductOffering: not so"


def test_an_unavailable_database_is_left_to_the_worker_to_retry(tmp_path, folder):
    def accept(kind, resource):
        raise Unavailable("away")

    (folder / "in").write_bytes(lines(OFFERINGS[0]))
    repository = MemoryRepository(api_module(Settings(data_dir=tmp_path), validate=accept).policies)
    with pytest.raises(Unavailable):
        imported(repository, "file:in")


# Where files may be


@pytest.mark.parametrize(
    "url",
    [
        "file:../secret",
        "file:///etc/../../secret",
        "file:a/%2e%2e/secret",
        "file:a%2f..%2fsecret",
        "file://host/a",
        "file:",
        "file:a//b",
        "file:.hidden",
        "file:a%00b",
        "file:a?b",
        "file:" + "a/" * 20 + "b",
        "file:" + "a" * 300,
        "file://[a",
        "http://169.254.169.254/latest",
        "http://0x7f.1/",
        "https://user:secret@example.com/",
    ],
)
def test_a_forbidden_url_is_refused_at_once(url, new_repository):
    with pytest.raises(InvalidBody, match="/url"):
        imported(new_repository(), url)


def test_a_job_without_a_url_is_refused(new_repository):
    with pytest.raises(InvalidBody, match="/url"):
        new_repository().create("ImportJob", {}, system=False)


@pytest.mark.parametrize("url", ["ftp://ftp.example.com/catalog", "catalog"])
def test_an_unknown_scheme_fails_the_job(url, new_repository):
    job = imported(new_repository(), url)
    assert (job["status"], "expected https, http or file" in job["errorLog"]) == ("Failed", True)


def test_a_symbolic_link_is_not_followed(new_repository, folder, tmp_path):
    (tmp_path / "secret").write_bytes(lines(*OFFERINGS))
    (folder / "in").symlink_to(tmp_path / "secret")
    (folder / "out").symlink_to(tmp_path)
    for url in ("file:in", "file:out/secret"):
        job = imported(new_repository(), url)
        assert (job["status"], job["progress"]) == ("Failed", {"failed": 1})
        assert str(tmp_path) not in job["errorLog"]
    assert exported(new_repository(), "file:out/new")["status"] == "Failed"
    assert not (tmp_path / "new").exists()


def test_only_regular_files_are_read(new_repository, folder):
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    for url in ("file:pipe", "file:folder", "file:missing", "file:no/where"):
        assert imported(new_repository(), url)["status"] == "Failed"
    assert not (folder / "no").exists()


def test_each_tenant_has_its_own_files(new_repository, folder):
    (folder / "in").write_bytes(lines(*OFFERINGS))
    repository = new_repository()
    repository.tenant = "../tenant-default"
    assert imported(repository, "file:in")["status"] == "Failed"


#: Clients: the parties for which each acts; None: the operator.
CLIENTS = [
    None,
    {"a"},
    {"b"},
    {"a", "b"},
    {"a,b"},
    {"../tenant-default"},
    {"é"},
    {"e\u0301"},
    set(),
]


def of_client(repository, parties):
    """Return the repository of a client of the same tenant."""
    parties = None if parties is None else frozenset(parties)
    repository.context = replace(repository.context, parties=parties)
    return repository


def test_each_client_has_its_own_files(new_repository, tmp_path):
    """The export of one client neither replaces the file of another one nor can be read by it."""
    for number, parties in enumerate(CLIENTS):
        repository = of_client(new_repository(), parties)
        for copy in range(number + 1):
            repository.create("ProductOffering", {**OFFERINGS[0], "id": str(copy)})
        job = exported(repository, "file:catalogue.ndjson")
        assert job["status"] == "Succeeded", job["errorLog"]
    files = [path.read_bytes() for path in (tmp_path / "files").glob("*/catalogue.ndjson")]
    assert sorted(file.count(b"\n") for file in files) == list(range(1, len(CLIENTS) + 1))
    (of_staff,) = (tmp_path / "files" / "tenant-default").iterdir()
    assert of_staff.read_bytes().count(b"\n") == 1


def test_a_party_imports_nothing(new_repository, tmp_path):
    repository = of_client(new_repository(), {"a"})
    with serving(lines(*OFFERINGS)) as (url, requests):
        job = imported(repository, url)
    assert (job["status"], "only the operator" in job["errorLog"]) == ("Failed", True)
    assert requests == []
    assert repository.find("ProductOffering", {}) == []


@pytest.mark.parametrize("definition", CATALOG_DEFINITIONS, ids=lambda d: d.number)
def test_each_kind_that_a_file_can_have_is_written_by_the_operator_only(definition):
    policies = api_module(Settings(), definition=definition).policies
    for kind in definition.entity_kinds:
        assert EVERYONE in policies[kind].parties({}), kind


def test_two_spellings_of_a_name_in_unicode_are_one_file(new_repository, folder):
    repository = new_repository()
    repository.create("ProductOffering", OFFERINGS[0])
    for name in ("caf\u00e9", "cafe\u0301", "caf%C3%A9", "cafe%CC%81"):
        assert exported(repository, f"file:{name}.ndjson")["status"] == "Succeeded"
    assert [path.name for path in folder.iterdir()] == ["caf\u00e9.ndjson"]


def test_the_files_of_a_client_have_a_largest_number_and_size(new_repository, folder):
    (folder / "one").write_bytes(b"x" * 1000)
    (folder / "two").write_bytes(b"x")
    for changes, message in (
        ({"job_area_files": 2}, "2 files and folders of 2"),
        ({"job_area_bytes": 1001}, "1001 bytes of 1001"),
        ({"job_area_bytes": 1010}, "would be larger than 9 bytes"),
    ):
        repository = new_repository(**changes)
        repository.create("ProductOffering", OFFERINGS[0])
        job = exported(repository, "file:three")
        assert (job["status"], message in job["errorLog"]) == ("Failed", True), job
        assert not (folder / "three").exists()
        other = of_client(repository, {"a"})
        assert exported(other, "file:three")["status"] == "Succeeded"


@settings(deadline=None)
@given(st.text(max_size=30))
def test_no_path_leads_out_of_the_file_area(text):
    try:
        segments = path_segments(f"file:{text}")
    except InvalidBody:
        return
    assert segments
    assert not {"..", ".", ""} & set(segments)
    assert all("/" not in segment and "\0" not in segment for segment in segments)


# Export


def test_an_exported_catalogue_can_be_imported(new_repository, folder):
    repository = new_repository()
    for offering in OFFERINGS:
        repository.create("ProductOffering", offering)
    repository.create("Category", {"@type": "Category", "id": "c", "name": "c"})
    for name in ("out.ndjson", "out.json", "out.ndjson.gz", "sub/out.json.gz"):
        job = exported(repository, f"file:{name}")
        assert (job["status"], job["progress"]["lines"]) == ("Succeeded", 4)
        again = new_repository()
        assert imported(again, f"file:{name}")["progress"] == {"lines": 4, "created": 4}
        assert again.resources["ProductOffering"] == repository.resources["ProductOffering"]
        assert imported(repository, f"file:{name}")["progress"] == {"lines": 4, "unchanged": 4}
    assert len(json.loads((folder / "out.json").read_bytes())) == 4
    assert len((folder / "out.ndjson").read_bytes().splitlines()) == 4


def test_only_the_server_can_read_an_exported_file(new_repository, folder):
    exported(new_repository(), "file:sub/out.ndjson")
    assert stat.S_IMODE((folder / "sub" / "out.ndjson").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "sub").stat().st_mode) == 0o700
    assert [path.name for path in (folder / "sub").iterdir()] == ["out.ndjson"]


@pytest.mark.parametrize("name", ["out.json", "out.ndjson", "out.json.gz"])
def test_an_empty_catalogue_is_exported_as_an_empty_file_of_its_form(name, new_repository, folder):
    assert exported(new_repository(), f"file:{name}")["status"] == "Succeeded"
    content = (folder / name).read_bytes()
    content = gzip.decompress(content) if name.endswith(".gz") else content
    assert content.strip() == (b"" if "ndjson" in name else b"[]")
    assert imported(new_repository(), f"file:{name}")["progress"] == {}


def test_query_and_path_select_the_exported_resources(new_repository, folder):
    repository = new_repository()
    for offering in OFFERINGS:
        repository.create("ProductOffering", offering)
    repository.create("Category", {"id": "c", "name": "Fast 1"})
    job = exported(repository, "file:out.json", query='name=Fast 1,"Fast 2"&isBundle=false')
    assert job["progress"] == {"lines": 2, "ProductOffering": 2}
    job = exported(repository, "file:out.json", path="/productOffering")
    assert job["progress"]["lines"] == 3


def test_an_export_reads_more_than_one_page(new_repository, folder):
    repository = new_repository()
    for number in range(1001):
        repository.resources.setdefault("Category", {})[f"{number:04}"] = {
            "id": f"{number:04}",
            "name": "x",
        }
    assert exported(repository, "file:out")["progress"] == {"lines": 1001, "Category": 1001}


def test_a_failed_export_keeps_the_previous_file(new_repository, folder):
    (folder / "out").write_text("before")
    repository = new_repository(job_bytes=10)
    repository.create("ProductOffering", OFFERINGS[0])
    job = exported(repository, "file:out")
    assert (job["status"], "larger than 10 bytes" in job["errorLog"]) == ("Failed", True)
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("out", "before")]


def test_an_invalid_query_fails_the_job(new_repository):
    assert "/query: $where" in exported(new_repository(), "file:out", query="$where=1")["errorLog"]
    with pytest.raises(InvalidQuery):
        attribute_query("Category", "a=" + "x" * 9000)


def format_of(url, content_type=None):
    """Return the format of a job: whether it is a JSON array, and whether it is compressed."""
    form = file_format({"url": url, "contentType": content_type})
    return form.is_json_array, form.is_gzip


@pytest.mark.parametrize(
    ("name", "type", "expected"),
    [
        ("a", None, (False, False)),
        ("a.json", None, (True, False)),
        ("a.JSON.gz", None, (True, True)),
        ("a.ndjson", None, (False, False)),
        ("a.jsonl.gz", None, (False, True)),
        ("a.gz", None, (False, True)),
        ("a", "application/json", (True, False)),
        ("a.v2", "Application/JSON; charset=UTF-8", (True, False)),
        ("a.gz", "application/json", (True, True)),
        ("a", "application/x-ndjson", (False, False)),
        ("a.jsonl", "application/ndjson", (False, False)),
        ("a", "application/gzip", (False, True)),
        ("a.json.gz", "application/x-gzip", (True, True)),
    ],
)
def test_a_file_has_the_format_that_its_type_and_its_name_promise(name, type, expected):
    for url in (f"file:{name}", f"https://x.example/up/{name}?token=.csv"):
        assert format_of(url, type) == expected


@pytest.mark.parametrize("type", [
    "text/csv", "application/xml", "text/json", "json", "", "application/json; charset=latin-1",
    "application/zip", "application/octet-stream", "application/json, application/gzip",
])  # fmt: skip
def test_a_type_that_is_not_offered_is_refused_with_the_offered_ones(type):
    with pytest.raises(InvalidBody, match="application/x-ndjson"):
        format_of("file:a.json", type)


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("a.csv", None), ("a.xml", "application/json"), ("a.zip", None), ("a.csv.gz", None),
        ("a.yaml", "application/gzip"), ("a.ndjson", "application/json"),
        ("a.json", "application/x-ndjson"), ("a.json.gz", "application/x-ndjson"),
        ("a.json", "application/gzip"),
    ],
)  # fmt: skip
def test_a_name_that_promises_another_format_is_refused(name, type):
    for url in (f"file:{name}", f"https://x.example/{name}"):
        with pytest.raises(InvalidBody, match="offered"):
            format_of(url, type)


def test_numbers_of_a_query_match_as_text_and_as_numbers():
    assert attribute_query("Category", "a=1,2.5") == {
        "$and": [{"a": {"$in": ["1", 1, "2.5", 2.5]}}]
    }


# Over HTTP


def test_a_catalogue_is_imported_by_http_get(new_repository):
    with serving(gzip.compress(lines(*OFFERINGS))) as (url, received):
        job = imported(new_repository(), f"{url}/catalogue.gz?x=1")
    assert job["progress"] == {"lines": 3, "created": 3}
    assert received[0][:2] == ("GET", "/catalogue.gz?x=1")


def test_a_catalogue_is_exported_by_http_put(new_repository):
    repository = new_repository()
    repository.create("ProductOffering", OFFERINGS[0])
    with serving(status=201) as (url, received):
        job = exported(repository, f"{url}/out.json")
    assert job["status"] == "Succeeded"
    method, _, headers, body = received[0]
    assert (method, headers["Content-Type"]) == ("PUT", "application/json")
    assert json.loads(body)[0]["name"] == "Fast 0"


@pytest.mark.parametrize("status", [302, 404, 500])
@pytest.mark.parametrize("kind", ["ImportJob", "ExportJob"])
def test_an_unsuccessful_response_fails_the_job(kind, status, new_repository):
    with serving(status=status) as (url, received):
        job = run(new_repository(), kind, f"{url}/catalogue")
    assert (job["status"], job["errorLog"]) == ("Failed", f"/url: the server answered {status}")
    assert len(received) == 1


def test_an_unreachable_server_fails_the_job(new_repository):
    with serving() as (url, _):
        pass
    assert imported(new_repository(), url)["status"] == "Failed"


def test_a_url_of_the_local_machine_is_refused_by_default(tmp_path):
    repository = MemoryRepository(api_module(Settings(data_dir=tmp_path)).policies)
    with serving() as (url, received), pytest.raises(InvalidBody, match="loopback"):
        imported(repository, url)
    assert received == []


def test_a_job_loaded_by_the_server_keeps_its_date():
    loaded = {"url": "file:x", "creationDate": "2025-01-01T00:00:00.000Z"}
    assert rules.on_create_job(loaded, request_context(system=True)) == loaded


# The reader

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def chunked(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.text(), values, max_size=3), max_size=5),
    st.integers(1, 9),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.booleans(),
)
def test_a_file_is_read_alike_whatever_the_size_of_its_chunks(
    resources, size, indent, ascii_, packed
):
    written = json.dumps(resources, indent=indent, ensure_ascii=ascii_).encode("utf-8", "replace")
    by_line = b"\n".join(json.dumps(resource).encode() for resource in resources)
    for data, expected in ((written, json.loads(written)), (by_line, resources)):
        file = chunked(gzip.compress(data) if packed else data, size)
        parsed = list(raw_resources(decompressed_chunks(file), 1 << 20))
        assert [json.loads(resource.raw) for resource in parsed] == expected
        assert not any(resource.error for resource in parsed)


@settings(deadline=None)
@given(st.binary(max_size=80), st.integers(1, 9))
def test_the_reader_accepts_all_bytes(data, size):
    for start in (b"", b"["):
        whole = list(raw_resources([start + data], 20))
        assert list(raw_resources(chunked(start + data, size), 20)) == whole
        assert all(len(resource.raw) <= 20 and resource.line >= 1 for resource in whole)


def test_a_file_above_the_size_limit_is_refused():
    with pytest.raises(TooLarge):
        list(limited_chunks([b"12", b"34"], 3))
