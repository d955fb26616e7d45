"""``tmf load``: files of many kinds, rejected lines, interrupted and repeated loads."""

import gzip
import os
import signal
import subprocess
import sys
import time

import orjson
import pytest

from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client


def category(number, **attributes):
    return {"@type": "Category", "id": f"c-{number}", "name": f"Category {number}", **attributes}


def ndjson(path, resources):
    path.write_bytes(b"".join(orjson.dumps(resource) + b"\n" for resource in resources))
    return path


@pytest.fixture(scope="session")
def contracts(tmp_path_factory):
    return tmp_path_factory.mktemp("load")


@pytest.fixture
def tmf(mongodb_uri, database, contracts, tmp_path):
    """Run ``tmf load`` on this test's database; return its status and output."""

    def command(*arguments):
        return [
            sys.executable, "-W", "ignore", "-m", "tmf_apis", "load", *map(str, arguments),
            "--uri", mongodb_uri, "--data-dir", str(contracts),
        ]  # fmt: skip

    environment = {**os.environ, "TMF_MONGODB_DATABASE": database.name, "COLUMNS": "200"}

    def run(*arguments, stdin=b""):
        process = subprocess.run(  # noqa: S603 - our own command
            command(*arguments), input=stdin, capture_output=True, env=environment, cwd=tmp_path,
            timeout=120, check=False,
        )  # fmt: skip
        return process.returncode, process.stderr.decode()

    run.begin = lambda *arguments: subprocess.Popen(  # noqa: S603
        command(*arguments), env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    return run


def test_a_file_is_loaded_with_its_ids_and_the_policys_defaults(tmf, tmp_path, database):
    file = ndjson(tmp_path / "category.ndjson", [category(1), {"name": "by file name"}])
    status, output = tmf(file)
    assert status == 0, output
    assert "2 loaded" in output
    document = database["Category"].find_one({"id": "c-1"})
    assert document["tenant"] == "default"
    assert document["rev"] == 1
    assert document["body"]["lifecycleStatus"] == "In study"
    assert document["text"]["v4"].startswith(b"/tmf-api/productCatalogManagement/v4/category/c-1")
    assert "events" not in document
    assert database["Category"].count_documents({"body.name": "by file name"}) == 1


def test_one_file_has_a_whole_offer_whose_parts_name_each_other(tmf, tmp_path, database):
    status = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}
    mapping = {"relationshipType": "mapsFrom", "parentSpecificationId": "tag", "name": "vlan"}
    setting = {"name": "vlan", "valueType": "integer", "charSpecRelationship": [mapping]}
    references = {
        "ProductOffering": {
            "productSpecification": {"@type": "ProductSpecificationRef", "id": "access"}
        },
        "ProductSpecification": {
            "serviceSpecification": [{"@type": "ServiceSpecificationRef", "id": "line"}]
        },
        "ServiceSpecification": {
            "resourceSpecification": [{"id": "tag"}],
            "specCharacteristic": [setting],
        },
        "ResourceSpecification": {"category": "vlan"},
    }
    ids = dict(zip(references, ("fibre", "access", "line", "tag"), strict=True))
    offer = [
        {"@type": kind, "id": ids[kind], "name": kind, **status, **body}
        for kind, body in references.items()
    ]
    code, output = tmf(ndjson(tmp_path / "offer.ndjson", offer))
    assert (code, "4 loaded" in output) == (0, True), output
    stored = {kind: database[kind].find_one({"id": id})["body"] for kind, id in ids.items()}
    assert stored["ProductOffering"]["productSpecification"]["id"] == "access"
    assert stored["ProductSpecification"]["serviceSpecification"][0]["id"] == "line"
    line = stored["ServiceSpecification"]
    assert line["resourceSpecification"][0]["id"] == "tag"
    assert line["specCharacteristic"][0]["charSpecRelationship"] == [mapping]


def test_invalid_lines_are_reported_and_stored_and_valid_lines_are_loaded(tmf, tmp_path, database):
    file = tmp_path / "mixed.ndjson"
    lines = [
        orjson.dumps(category(1)),
        b'{"broken',
        b"",
        orjson.dumps({"@type": "Nothing", "name": "x"}),
        orjson.dumps(category(2, lastUpdate="yesterday")),
        orjson.dumps(category(3, name=7)),
        orjson.dumps(category(4)),
    ]
    file.write_bytes(b"\n".join(lines))
    status, output = tmf(file)
    assert status == 1
    for number in (2, 4, 5, 6):
        assert f"mixed.ndjson:{number}: " in output
    assert "/name" in output
    assert "4 rejected lines are in" in output
    rejected = (tmp_path / "mixed.ndjson.rejected.ndjson").read_bytes().splitlines()
    assert rejected == [lines[1], lines[3], lines[4], lines[5]]
    assert {document["id"] for document in database["Category"].find()} == {"c-1", "c-4"}


def test_gzip_standard_input_and_v4_are_supported(tmf, tmp_path, database):
    packed = tmp_path / "catalog.ndjson.gz"
    packed.write_bytes(gzip.compress(orjson.dumps({"id": "k", "name": "K", "@type": "Catalog"})))
    status, output = tmf(packed, "--version", "v4")
    assert status == 0, output
    assert database["ProductCatalog"].find_one({"id": "k"})["body"]["name"] == "K"
    child = orjson.dumps({"id": "child", "name": "C", "parentId": "c-1"})
    status, output = tmf("-", "--version", "v4", "--kind", "category", stdin=child)
    assert status == 0, output
    assert database["Category"].find_one({"id": "child"})["body"]["parent"]["id"] == "c-1"


def test_existing_resources_are_skipped_unless_they_are_replaced(tmf, tmp_path, database):
    file = ndjson(tmp_path / "category.ndjson", [category(1), category(2)])
    assert tmf(file)[0] == 0
    ndjson(file, [category(1, name="New name"), category(3)])
    status, output = tmf(file)
    assert status == 0, output
    assert "1 loaded, 1 existing" in output
    assert database["Category"].find_one({"id": "c-1"})["body"]["name"] == "Category 1"
    status, output = tmf(file, "--replace")
    assert status == 0, output
    changed = database["Category"].find_one({"id": "c-1"})
    assert (changed["body"]["name"], changed["rev"]) == ("New name", 2)


def test_repeating_a_killed_load_continues_it(tmf, tmp_path, database, mongodb_uri):
    total = 8_000
    file = ndjson(tmp_path / "category.ndjson", (category(n) for n in range(total)))
    process = tmf.begin(file)
    end = time.monotonic() + 90
    while database["Category"].estimated_document_count() < 2000:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    settings = Settings(mongodb_database=database.name)
    with mongo_client(settings, mongodb_uri) as client:
        before = client[database.name]["Category"].count_documents({})
        assert 2000 <= before < total
        status, output = tmf(file)
        assert status == 0, output
        assert client[database.name]["Category"].count_documents({}) == total
    assert " existing" in output


def test_a_missing_file_and_an_unknown_kind_are_reported_in_one_line(tmf, tmp_path):
    status, output = tmf(tmp_path / "nothing.ndjson")
    assert status == 1
    assert output.splitlines()[-1].endswith("there is no such file")
    file = ndjson(tmp_path / "x.ndjson", [category(1)])
    status, output = tmf(file, "--kind", "Elephant")
    assert status == 1
    assert "there is no kind Elephant; the kinds are AckAlarm, " in output
