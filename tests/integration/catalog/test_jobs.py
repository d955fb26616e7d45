"""Import and export jobs on real files and a real HTTP server."""

import gzip
import json
import os
import stat
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_repository import NOW, MemoryRepository, request_context
from tmf_apis.catalog import api_module, attribute_query, rules
from tmf_apis.catalog.export import is_json_array, media_type
from tmf_apis.catalog.files import path_segments
from tmf_apis.catalog.stream import decompressed_chunks, limited_chunks, raw_resources
from tmf_apis.errors import InvalidBody, InvalidQuery, TooLarge, Unavailable
from tmf_apis.rest.pipeline.policy import rfc3339
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.settings import Settings

OFFERINGS = [
    {"@type": "ProductOffering", "id": str(number), "name": f"Fast {number}"} for number in range(3)
]


@pytest.fixture
def folder(tmp_path):
    """The default tenant's part of the file area."""
    area = tmp_path / "files" / "tenant-default"
    area.mkdir(parents=True)
    return area


@pytest.fixture
def a_desk(tmp_path):
    def make(**settings):
        loopback = OutboundPolicy(allow_loopback=True)
        ours = Settings(data_dir=tmp_path, **settings)
        return MemoryRepository(api_module(ours, outbound_policy=loopback).policies)

    return make


def lines(*resources):
    return b"".join(json.dumps(one).encode() + b"\n" for one in resources)


def run(desk, kind, url, **more):
    """Make a job, do it, and return how it stands then."""
    job = desk.create(kind, {"@type": kind, "url": url, **more}, system=False)
    assert job["status"] == "Not Started"
    desk.laws[kind].begin(desk, job)
    return desk.get(kind, job["id"])


def imported(desk, url, **more):
    return run(desk, "ImportJob", url, **more)


def exported(desk, url, **more):
    return run(desk, "ExportJob", url, **more)


@contextmanager
def serving(body=b"", status=200):
    """A real HTTP server that answers every request so and keeps what it was sent."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            received.append((self.command, self.path, dict(self.headers), b""))
            self.answer()

        def do_PUT(self):
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.command, self.path, dict(self.headers), sent))
            self.answer()

        def answer(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
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
def test_a_file_is_carried_in_whatever_its_form(content, a_desk, folder):
    (folder / "in").write_bytes(content)
    desk = a_desk()
    job = imported(desk, "file:in")
    assert (job["status"], job.get("errorLog")) == ("Succeeded", None)
    assert job["progress"] == {"lines": 3, "created": 3}
    assert job["completionDate"] >= rfc3339(NOW)
    assert desk.get("ProductOffering", "1")["name"] == "Fast 1"


def test_a_file_is_carried_in_again_without_a_change(a_desk, folder):
    nameless = {"@type": "Category", "name": "no id"}
    above = {"@type": "Category", "id": "top", "name": "top"}
    below = {"@type": "Category", "id": "leaf", "name": "leaf", "parent": {"id": "top"}}
    (folder / "in").write_bytes(lines(*OFFERINGS, nameless, above, below))
    desk = a_desk()
    assert imported(desk, "file:in")["progress"]["created"] == 6
    before = {kind: dict(all_) for kind, all_ in desk.resources.items() if kind != "ImportJob"}
    again = imported(desk, "file:in")
    assert again["progress"] == {"lines": 6, "unchanged": 6}
    assert {k: v for k, v in desk.resources.items() if k != "ImportJob"} == before


def test_a_half_failed_import_says_which_lines_and_the_others_stand(a_desk, folder):
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
    desk = a_desk()
    job = imported(desk, "file:in")
    assert job["status"] == "Failed"
    assert job["progress"] == {"lines": 9, "created": 2, "failed": 7}
    told = job["errorLog"].split("\n")
    assert [text.partition(":")[0] for text in told] == [f"line {n}" for n in range(2, 9)]
    assert "part of itself" in told[5]
    (folder / "in").write_bytes(lines(*OFFERINGS))
    assert imported(desk, "file:in")["progress"] == {"lines": 3, "unchanged": 2, "created": 1}


def test_an_array_that_is_wrong_in_the_middle_is_reported_by_line(a_desk, folder):
    (folder / "in").write_bytes(b'[\n{"@type":"Category","name":"a"},\n,\n7,\n{"x": "]"}\n] x')
    job = imported(a_desk(), "file:in")
    assert [text.partition(":")[0] for text in job["errorLog"].split("\n")] == [
        "line 3",
        "line 4",
        "line 5",
        "line 6",
    ]
    assert job["progress"]["created"] == 1


def test_an_import_that_was_interrupted_is_done_again(a_desk, folder):
    (folder / "in").write_bytes(lines(*OFFERINGS))
    desk = a_desk()
    job = desk.create("ImportJob", {"url": "file:in"}, system=False)
    desk.writes_until_crash = 2
    with pytest.raises(RuntimeError):
        desk.policies["ImportJob"].run_in_background(desk, job)
    desk.writes_until_crash = None
    assert desk.get("ImportJob", job["id"])["status"] == "Running"
    for _ in range(2):
        desk.policies["ImportJob"].run_in_background(desk, job)
        done = desk.get("ImportJob", job["id"])
        assert done["status"] == "Succeeded"
        assert done["progress"] == {"lines": 3, "unchanged": 1, "created": 2}


def test_a_change_of_a_resource_replaces_it(a_desk, folder):
    desk = a_desk()
    desk.create("ProductOffering", {**OFFERINGS[0], "description": "old"})
    (folder / "in").write_bytes(lines({**OFFERINGS[0], "name": "new", "href": "elsewhere"}))
    assert imported(desk, "file:in")["progress"]["replaced"] == 1
    stored = desk.get("ProductOffering", "0")
    assert stored["name"] == "new"
    assert not {"description", "href"} & stored.keys()


def test_the_path_or_the_base_type_says_the_kind_where_the_type_does_not(a_desk, folder):
    odd = {"@type": "Fibre", "@baseType": "ProductSpecification", "name": "x"}
    (folder / "in").write_bytes(lines({"name": "x"}, odd, {"@type": "Catalog", "name": "x"}))
    desk = a_desk()
    imported(desk, "file:in", path="/tmf-api/productCatalogManagement/v5/category")
    assert [one["@type"] for one in desk.resources["ProductSpecification"].values()] == ["Fibre"]
    assert [one["@type"] for one in desk.resources["ProductCatalog"].values()] == ["ProductCatalog"]
    assert [one["@type"] for one in desk.resources["Category"].values()] == ["Category"]


def test_a_large_number_of_faults_is_counted_and_the_first_are_shown(a_desk, folder):
    (folder / "in").write_bytes(b"7\n" * 300)
    told = imported(a_desk(), "file:in")["errorLog"].split("\n")
    assert (len(told), told[-1]) == (201, "and 100 more")


def test_a_resource_that_is_too_long_is_passed_over(a_desk, folder):
    long = {**OFFERINGS[1], "description": "x" * 200_000}
    for content in (
        lines(OFFERINGS[0], long, OFFERINGS[2]),
        json.dumps([*OFFERINGS, long]).encode(),
    ):
        (folder / "in").write_bytes(content)
        job = imported(a_desk(resource_limit=1000), "file:in")
        assert "longer than 1000 bytes" in job["errorLog"]
        assert job["progress"]["failed"] == 1


def test_a_file_that_unpacks_to_too_much_is_given_up(a_desk, folder):
    (folder / "in.gz").write_bytes(gzip.compress(lines(*OFFERINGS) + b" " * 50_000_000))
    job = imported(a_desk(job_bytes=1_000_000), "file:in.gz")
    assert (job["status"], job["progress"]["created"]) == ("Failed", 3)
    assert "larger than 1000000 bytes" in job["errorLog"]


def test_a_job_that_takes_too_long_is_given_up(a_desk, folder):
    (folder / "in").write_bytes(lines(*OFFERINGS))
    assert "took longer than 0 seconds" in imported(a_desk(job_seconds=0.0), "file:in")["errorLog"]


def test_progress_is_shown_while_the_job_runs(a_desk, folder, monkeypatch):
    monkeypatch.setattr("tmf_apis.catalog.jobs.REPORT_PAUSE", 0.0)
    (folder / "in").write_bytes(lines(*OFFERINGS, 7))
    desk = a_desk()
    job = imported(desk, "file:in")
    assert desk.write_log.count(("change", "ImportJob", job["id"])) == 6


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(lines(*OFFERINGS), mtime=0)[:-12], "ends too early"),
        (b"\x1f\x8b garbage", "not good gzip"),
    ],
)
def test_damaged_gzip_is_reported(content, why, a_desk, folder):
    (folder / "in").write_bytes(content)
    job = imported(a_desk(), "file:in")
    assert (job["status"], why in job["errorLog"]) == ("Failed", True)


def test_an_empty_file_has_nothing_in_it(a_desk, folder):
    (folder / "in").write_bytes(b"")
    job = imported(a_desk(), "file:in")
    assert (job["status"], job["progress"]) == ("Succeeded", {})


def test_the_law_of_the_contract_is_asked_for_each_resource(tmp_path, folder):
    def accept(kind, resource):
        raise InvalidBody(f"/{kind}: not so")

    (folder / "in").write_bytes(lines(OFFERINGS[0]))
    desk = MemoryRepository(api_module(Settings(data_dir=tmp_path), validate=accept).policies)
    assert imported(desk, "file:in")["errorLog"] == "line 1: /ProductOffering: not so"


def test_a_database_that_is_away_is_the_workers_to_try_again(tmp_path, folder):
    def accept(kind, resource):
        raise Unavailable("away")

    (folder / "in").write_bytes(lines(OFFERINGS[0]))
    desk = MemoryRepository(api_module(Settings(data_dir=tmp_path), validate=accept).policies)
    with pytest.raises(Unavailable):
        imported(desk, "file:in")


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
def test_a_url_that_leads_where_it_must_not_is_refused_at_once(url, a_desk):
    with pytest.raises(InvalidBody, match="/url"):
        imported(a_desk(), url)


def test_a_job_has_a_url(a_desk):
    with pytest.raises(InvalidBody, match="/url"):
        a_desk().create("ImportJob", {}, system=False)


@pytest.mark.parametrize("url", ["ftp://ftp.example.com/catalog", "catalog"])
def test_a_scheme_that_the_server_does_not_speak_fails_the_job(url, a_desk):
    job = imported(a_desk(), url)
    assert (job["status"], "expected https, http or file" in job["errorLog"]) == ("Failed", True)


def test_a_link_leads_nowhere(a_desk, folder, tmp_path):
    (tmp_path / "secret").write_bytes(lines(*OFFERINGS))
    (folder / "in").symlink_to(tmp_path / "secret")
    (folder / "out").symlink_to(tmp_path)
    for url in ("file:in", "file:out/secret"):
        job = imported(a_desk(), url)
        assert (job["status"], job["progress"]) == ("Failed", {"failed": 1})
        assert str(tmp_path) not in job["errorLog"]
    assert exported(a_desk(), "file:out/new")["status"] == "Failed"
    assert not (tmp_path / "new").exists()


def test_what_is_no_plain_file_is_not_read(a_desk, folder):
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    for url in ("file:pipe", "file:folder", "file:missing", "file:no/where"):
        assert imported(a_desk(), url)["status"] == "Failed"
    assert not (folder / "no").exists()


def test_each_tenant_has_its_own_files(a_desk, folder):
    (folder / "in").write_bytes(lines(*OFFERINGS))
    desk = a_desk()
    desk.tenant = "../tenant-default"
    assert imported(desk, "file:in")["status"] == "Failed"


@settings(deadline=None)
@given(st.text(max_size=30))
def test_no_path_leads_out_of_the_area(text):
    try:
        steps = path_segments(f"file:{text}")
    except InvalidBody:
        return
    assert steps
    assert not {"..", ".", ""} & set(steps)
    assert all("/" not in step and "\0" not in step for step in steps)


# Export


def test_a_catalogue_is_carried_out_and_in_again(a_desk, folder):
    desk = a_desk()
    for one in OFFERINGS:
        desk.create("ProductOffering", one)
    desk.create("Category", {"@type": "Category", "id": "c", "name": "c"})
    for name in ("out.ndjson", "out.json", "out.ndjson.gz", "sub/out.json.gz"):
        job = exported(desk, f"file:{name}")
        assert (job["status"], job["progress"]["lines"]) == ("Succeeded", 4)
        again = a_desk()
        assert imported(again, f"file:{name}")["progress"] == {"lines": 4, "created": 4}
        assert again.resources["ProductOffering"] == desk.resources["ProductOffering"]
        assert imported(desk, f"file:{name}")["progress"] == {"lines": 4, "unchanged": 4}
    assert len(json.loads((folder / "out.json").read_bytes())) == 4
    assert len((folder / "out.ndjson").read_bytes().splitlines()) == 4


def test_a_file_carried_out_is_the_servers_alone(a_desk, folder):
    exported(a_desk(), "file:sub/out.ndjson")
    assert stat.S_IMODE((folder / "sub" / "out.ndjson").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "sub").stat().st_mode) == 0o700
    assert [one.name for one in (folder / "sub").iterdir()] == ["out.ndjson"]


@pytest.mark.parametrize("name", ["out.json", "out.ndjson", "out.json.gz"])
def test_an_empty_catalogue_is_an_empty_file_of_its_form(name, a_desk, folder):
    assert exported(a_desk(), f"file:{name}")["status"] == "Succeeded"
    assert imported(a_desk(), f"file:{name}")["progress"] == {}


def test_a_query_and_a_path_say_what_is_carried_out(a_desk, folder):
    desk = a_desk()
    for one in OFFERINGS:
        desk.create("ProductOffering", one)
    desk.create("Category", {"id": "c", "name": "Fast 1"})
    job = exported(desk, "file:out.json", query='name=Fast 1,"Fast 2"&isBundle=false')
    assert job["progress"] == {"lines": 2, "ProductOffering": 2}
    job = exported(desk, "file:out.json", path="/productOffering")
    assert job["progress"]["lines"] == 3


def test_more_than_one_page_is_carried_out(a_desk, folder):
    desk = a_desk()
    for number in range(1001):
        desk.resources.setdefault("Category", {})[f"{number:04}"] = {
            "id": f"{number:04}",
            "name": "x",
        }
    assert exported(desk, "file:out")["progress"] == {"lines": 1001, "Category": 1001}


def test_a_failed_export_leaves_the_file_before_it(a_desk, folder):
    (folder / "out").write_text("before")
    desk = a_desk(job_bytes=10)
    desk.create("ProductOffering", OFFERINGS[0])
    job = exported(desk, "file:out")
    assert (job["status"], "larger than 10 bytes" in job["errorLog"]) == ("Failed", True)
    assert [(one.name, one.read_text()) for one in folder.iterdir()] == [("out", "before")]


def test_a_query_that_is_none_fails_the_job(a_desk):
    assert "/query: $where" in exported(a_desk(), "file:out", query="$where=1")["errorLog"]
    with pytest.raises(InvalidQuery):
        attribute_query("Category", "a=" + "x" * 9000)


def test_the_form_follows_the_name_and_then_the_content_type():
    json_type = {"contentType": "application/json; charset=utf-8"}
    assert is_json_array({"url": "https://x/catalogue", **json_type})
    assert not is_json_array({"url": "https://x/catalogue.ndjson", **json_type})
    assert (
        media_type({"url": "https://x/c", "contentType": "application/gzip"}) == "application/gzip"
    )
    assert media_type({"url": "https://x/c"}) == "application/x-ndjson"
    assert attribute_query("Category", "a=1,2.5") == {
        "$and": [{"a": {"$in": ["1", 1, "2.5", 2.5]}}]
    }


# Over HTTP


def test_a_catalogue_is_fetched(a_desk):
    with serving(gzip.compress(lines(*OFFERINGS))) as (url, received):
        job = imported(a_desk(), f"{url}/catalogue.gz?x=1")
    assert job["progress"] == {"lines": 3, "created": 3}
    assert received[0][:2] == ("GET", "/catalogue.gz?x=1")


def test_a_catalogue_is_sent(a_desk):
    desk = a_desk()
    desk.create("ProductOffering", OFFERINGS[0])
    with serving(status=201) as (url, received):
        job = exported(desk, f"{url}/out.json")
    assert job["status"] == "Succeeded"
    method, _, headers, body = received[0]
    assert (method, headers["Content-Type"]) == ("PUT", "application/json")
    assert json.loads(body)[0]["name"] == "Fast 0"


@pytest.mark.parametrize("status", [302, 404, 500])
@pytest.mark.parametrize("kind", ["ImportJob", "ExportJob"])
def test_an_answer_that_is_no_success_fails_the_job(kind, status, a_desk):
    with serving(status=status) as (url, received):
        job = run(a_desk(), kind, f"{url}/catalogue")
    assert (job["status"], job["errorLog"]) == ("Failed", f"/url: answered {status}")
    assert len(received) == 1


def test_a_place_that_does_not_answer_fails_the_job(a_desk):
    with serving() as (url, _):
        pass
    assert imported(a_desk(), url)["status"] == "Failed"


def test_without_permission_no_job_goes_to_this_machine(tmp_path):
    desk = MemoryRepository(api_module(Settings(data_dir=tmp_path)).policies)
    with serving() as (url, received), pytest.raises(InvalidBody, match="loopback"):
        imported(desk, url)
    assert received == []


def test_a_job_that_the_server_loads_keeps_its_date():
    loaded = {"url": "file:x", "creationDate": "2025-01-01T00:00:00.000Z"}
    assert rules.on_create_job(loaded, request_context(system=True)) == loaded


# The reader

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def cut(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.text(), values, max_size=3), max_size=5),
    st.integers(1, 9),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.booleans(),
)
def test_what_is_in_a_file_comes_out_however_it_is_cut(resources, size, indent, ascii_, packed):
    written = json.dumps(resources, indent=indent, ensure_ascii=ascii_).encode("utf-8", "replace")
    by_line = b"\n".join(json.dumps(one).encode() for one in resources)
    for data, expected in ((written, json.loads(written)), (by_line, resources)):
        file = cut(gzip.compress(data) if packed else data, size)
        found = list(raw_resources(decompressed_chunks(file), 1 << 20))
        assert [json.loads(one.raw) for one in found] == expected
        assert not any(one.error for one in found)


@settings(deadline=None)
@given(st.binary(max_size=80), st.integers(1, 9))
def test_no_bytes_stop_the_reader(data, size):
    for start in (b"", b"["):
        whole = list(raw_resources([start + data], 20))
        assert list(raw_resources(cut(start + data, size), 20)) == whole
        assert all(len(one.raw) <= 20 and one.line >= 1 for one in whole)


def test_a_file_has_a_limit():
    with pytest.raises(TooLarge):
        list(limited_chunks([b"12", b"34"], 3))
