"""``tmf audit-log`` on a database, and the entries of other commands."""

import re

import orjson
import pytest
from click.testing import CliRunner

from tests.support.audit_harness import append, sealed
from tmf_apis.audit_log.sealing import Sealer
from tmf_apis.audit_log.signing import KEY_FILE, load_or_create_key
from tmf_apis.cli import main


@pytest.fixture
def run(harness, mongodb_uri, tmp_path, monkeypatch):
    """A function that runs a command on the database of the harness."""
    monkeypatch.setenv("TMF_MONGODB_URI", mongodb_uri)
    monkeypatch.setenv("TMF_MONGODB_DATABASE", harness.engine.database.name)
    monkeypatch.setenv("TMF_DATA_DIR", str(tmp_path))

    def run(*arguments, status=0):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == status, result.output
        return result.stdout

    return run


@pytest.fixture
def log(harness):
    return harness.log


def test_a_valid_log_is_reported(log, run):
    sealed(log)
    append(log, 2)
    text = run("audit-log", "verify")
    assert text == "acme: 35 entries are valid, up to 35; 2 are not sealed yet\n"


def test_the_first_altered_entry_is_named(log, run):
    sealed(log)
    log.entries.update_many({"sequence": {"$gte": 7}}, {"$set": {"subject": "eve"}})
    text = run("audit-log", "verify", "--tenant", "acme", status=1)
    assert re.match(r"acme: NOT VALID: entry 7 \(.*\) was altered", text)


def test_checkpoints_are_compared(log, run, tmp_path):
    sealer = sealed(log)
    file = tmp_path / "checkpoint"
    file.write_text(run("audit-log", "checkpoint"))
    append(log, 1)
    sealer.seal()
    run("audit-log", "verify", "--checkpoint", str(file))
    log.blocks.delete_many({})
    log.entries.delete_many({})
    assert "the checkpoint has entry 35" in run(
        "audit-log", "verify", "--checkpoint", str(file), status=1
    )


def test_signatures_are_checked_with_the_key_of_the_data_directory(log, run, tmp_path):
    sealed(log, key=load_or_create_key(tmp_path / KEY_FILE))
    run("audit-log", "verify")
    assert run("audit-log", "public-key").startswith("-----BEGIN PUBLIC KEY-----")
    append(log, 1)
    Sealer(log, "x").seal()
    assert "is not signed" in run("audit-log", "verify", status=1)


def test_blocks_of_another_server_are_verified_with_its_public_key(log, run, tmp_path):
    other = load_or_create_key(tmp_path / "other" / KEY_FILE)
    load_or_create_key(tmp_path / KEY_FILE)
    sealed(log, key=other)
    assert "unknown key" in run("audit-log", "verify", status=1)
    file = tmp_path / "other.pem"
    file.write_bytes(other.public_pem())
    run("audit-log", "verify", "--public-key", str(file))


def test_the_key_is_readable_for_its_owner_only(tmp_path):
    load_or_create_key(tmp_path / KEY_FILE)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_entries_are_shown_and_exported(harness, log, run):
    id = harness.create("Customer", name="A")
    harness.drain()
    assert "Customer" in run("audit-log", "show")
    (row,) = map(
        orjson.loads, run("audit-log", "show", "--json", "--kind", "Customer").splitlines()
    )
    assert (row["resource"], row["subject"]) == (id, "ann")
    assert run("audit-log", "show", "--json", "--subject", "nobody") == ""
    exported = run("audit-log", "export", "--resource", id, "--from", "2020-01-01")
    assert [orjson.loads(line)["resource"] for line in exported.splitlines()] == [id]
    (record,) = log.entries.find({"operation": "export"})
    assert (record["subject"], bool(record["account"])) == ("tmf-audit-log", True)


def test_exports_and_erasures_of_customers_have_an_entry(harness, log, run):
    customer = harness.create("Customer", name="A")
    run("privacy", "export", customer, "--tenant", "acme")
    run("privacy", "erase", customer, "--tenant", "acme", "--yes")
    entries = log.entries.find({"subject": "tmf-privacy"}).sort("time", 1)
    operations = [(entry["operation"], entry["resource"]) for entry in entries]
    assert operations == [("exportPersonalData", customer), ("erasePersonalData", customer)]


def test_a_rotation_of_keys_has_an_entry(log, run):
    run("keys", "rotate")
    (entry,) = log.entries.find({"subject": "tmf-privacy"})
    assert entry["operation"] == "rotateKeys"


def test_an_exported_file_is_for_its_owner_only(harness, run, tmp_path):
    customer = harness.create("Customer", name="A")
    file = tmp_path / "export.json"
    file.touch(mode=0o644)
    run("privacy", "export", customer, "--tenant", "acme", "--out", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert orjson.loads(file.read_bytes())["customer"] == customer


def test_loaded_resources_have_an_entry(harness, log, run, tmp_path):
    ids = [f"c{number}" for number in range(3)]
    file = tmp_path / "category.ndjson"
    lines = [{"@type": "Category", "id": id, "name": "Jane"} for id in ids]
    file.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    run("load", str(file), "--tenant", "acme")
    run("load", "--replace", str(file), "--tenant", "acme")
    loaded, overwritten = log.entries.find().sort("time", 1)
    assert (loaded["operation"], overwritten["operation"]) == ("load", "overwrite")
    assert loaded["resource"] == overwritten["resource"] == ids
    assert (loaded["subject"], loaded["kind"]) == ("loader", "Category")
    assert loaded["account"]
    assert log.entries.find_one({"resource": "c1"})
