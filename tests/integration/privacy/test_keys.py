"""Data keys and master keys: rotation, missing keys, other settings, earlier releases."""

import stat
from importlib.metadata import EntryPoint

import pytest

from tests.support.privacy_harness import EMAIL, STREET
from tmf_apis.security import master_keys
from tmf_apis.security.master_keys import (
    KeyUnavailable,
    LocalKeys,
    load_provider,
)
from tmf_apis.setting_parsers import KEY_PROVIDERS
from tmf_apis.settings import Settings
from tmf_apis.store.process import CannotStart


def email(harness, id="c1"):
    return harness.repository.get("Customer", id)["contactMedium"][0]["emailAddress"]


def test_the_generated_master_key_is_readable_for_its_owner_only(harness):
    file = harness.folder / "keys" / "master.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_rotation_of_the_master_key_keeps_everything_readable(harness):
    harness.create_customer()
    before = {row["_id"]: row for row in harness.database.personal_keys.find()}
    name, count = harness.engine.privacy.rotate_master_key()
    assert count == len(before)
    assert {row["master"] for row in harness.database.personal_keys.find()} == {name}
    for row in harness.database.personal_keys.find():
        assert row["wrapped"] != before[row["_id"]]["wrapped"]
    assert email(harness) == EMAIL
    harness.restart()
    assert email(harness) == EMAIL


def test_a_running_server_follows_a_rotation_by_another_process(tmp_path):
    running = LocalKeys(Settings(data_dir=tmp_path))
    wrapped, first = running.wrap(b"k" * 32, b"context"), running.current_id
    other = LocalKeys(Settings(data_dir=tmp_path))
    second = other.rotate()
    assert running.unwrap(other.wrap(b"d" * 32, b"context"), b"context", second) == b"d" * 32
    assert running.unwrap(wrapped, b"context", first) == b"k" * 32
    third = other.rotate()
    running.wrap(b"e" * 32, b"context")
    assert running.current_id == third


def test_new_data_keys_encrypt_everything_anew(harness):
    harness.create_customer()
    before = {
        row["_id"] for row in harness.database.personal_keys.find({"subject": {"$ne": "blind"}})
    }
    sealed = harness.database.Customer.find_one()["seal"]
    harness.database.Customer.update_many({}, {"$set": {"events": []}})
    harness.database.Product.update_many({}, {"$set": {"events": []}})
    harness.database.ProductOrder.update_many({}, {"$set": {"events": []}})
    deleted, kept = harness.engine.privacy.replace_data_keys()
    assert (deleted, kept) == (len(before), 0)
    assert before.isdisjoint(row["_id"] for row in harness.database.personal_keys.find())
    assert harness.database.Customer.find_one()["seal"]["body"] != sealed["body"]
    assert email(harness) == EMAIL
    assert (
        harness.repository.get("Product", "product-c1")["place"][0]["place"]["streetName"] == STREET
    )


def test_a_server_without_the_master_key_does_not_start(harness):
    harness.create_customer()
    key = (harness.folder / "keys" / "master.key").read_text()
    (harness.folder / "keys" / "master.key").unlink()
    with pytest.raises(CannotStart, match="master key"):
        harness.restart()
    harness.restart(master_key=key.strip())
    assert email(harness) == EMAIL


@pytest.mark.parametrize("text", ["short", "bm90IDMyIGJ5dGVz", "%"])
def test_a_master_key_of_another_length_is_refused(text):
    with pytest.raises(KeyUnavailable, match="32 random bytes"):
        LocalKeys(Settings(master_key=text))


def test_an_unknown_provider_is_refused():
    with pytest.raises(KeyUnavailable, match="expected one of local"):
        load_provider(Settings(key_provider="unknown"))


def test_documents_of_an_earlier_release_are_read_and_sealed(harness):
    harness.restart(encryption=False)
    harness.create_customer()
    assert harness.occurrences(EMAIL) == ["Customer"]
    harness.restart()
    assert email(harness) == EMAIL
    codec = harness.engine.codec
    assert not codec.is_complete
    access = {"tenant": "t"}
    members = {"id": 1, "text.v5": 1}
    document = harness.engine.resources.find_one("Customer", access, "c1", members, masked=True)
    assert EMAIL.encode() not in document["text"]["v5"]
    rev = harness.database.Customer.find_one()["rev"]
    assert harness.engine.privacy.resealer.run() > 0
    assert harness.engine.privacy.resealer.run() == 0
    assert codec.is_complete
    assert harness.occurrences(EMAIL) == []
    assert harness.occurrences(STREET) == []
    assert harness.database.Customer.find_one()["rev"] == rev
    assert email(harness) == EMAIL
    [event] = harness.database.Customer.find_one()["events"]
    assert codec.open_event(event, masked=False)["contactMedium"][0]["emailAddress"] == EMAIL


def test_other_rules_seal_and_unseal_stored_documents(harness):
    harness.create_customer()
    assert "Customer" in harness.occurrences("zq Ada")
    harness.restart(pii_names=True)
    assert not harness.engine.codec.is_complete
    harness.engine.privacy.resealer.run()
    assert harness.occurrences("zq Ada") == ["ProductOrder"]  # the text of a note
    assert harness.repository.get("Customer", "c1")["name"] == "zq Ada"
    harness.restart(pii_names=True, encryption=False)
    assert harness.repository.get("Customer", "c1")["name"] == "zq Ada"
    harness.restart(pii_attributes=("-contactMedium",))
    harness.engine.privacy.resealer.run()
    assert harness.database.Customer.find_one()["body"]["contactMedium"][0]["emailAddress"] == EMAIL


def test_a_sealed_value_cannot_be_moved_to_another_document(harness):
    harness.create_customer()
    harness.create_customer("c2", "p2")
    foreign = harness.database.Customer.find_one({"id": "c2"})["seal"]
    harness.database.Customer.update_one({"id": "c1"}, {"$set": {"seal": foreign}})
    with pytest.raises(ValueError, match="does not belong"):
        harness.repository.get("Customer", "c1")


def test_a_change_of_one_attribute_writes_only_this_attribute(harness):
    harness.create_customer()
    harness.repository.change("Customer", "c1", lambda c: {**c, "status": "Suspended"})
    stored = harness.database.Customer.find_one()
    assert stored["body"]["status"] == "Suspended"
    assert EMAIL not in str(stored["body"])
    assert email(harness) == EMAIL
    harness.repository.change(
        "Customer", "c1", lambda c: {k: v for k, v in c.items() if k != "contactMedium"}
    )
    stored = harness.database.Customer.find_one()
    assert "seal" not in stored
    assert "blind" not in stored


class VaultKeys:
    """A provider as a plug-in for a key management service has it."""

    current_id = "vault/1"

    def __init__(self, settings):
        self.folder = settings.data_dir

    def wrap(self, key, context):
        return context + bytes(byte ^ 0x5A for byte in key)

    def unwrap(self, wrapped, context, master_id):
        assert (master_id, wrapped[: len(context)]) == (self.current_id, context)
        return bytes(byte ^ 0x5A for byte in wrapped[len(context) :])

    def rotate(self):
        raise KeyUnavailable("rotate the key in the vault")


def test_a_plug_in_provides_the_master_key(harness, monkeypatch):
    point = EntryPoint("vault", f"{__name__}:VaultKeys", KEY_PROVIDERS)
    monkeypatch.setattr(master_keys, "entry_points", lambda **_: [point])
    harness.restart(key_provider="vault")
    harness.create_customer()
    assert {row["master"] for row in harness.database.personal_keys.find()} == {"vault/1"}
    harness.restart(key_provider="vault")
    assert email(harness) == EMAIL
    with pytest.raises(CannotStart, match="vault/1 is not configured"):
        harness.restart()
