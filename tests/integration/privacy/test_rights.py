"""Export, erasure and retention of personal data."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.privacy_harness import EMAIL, STREET
from tmf_apis.audit_log.signing import KEY_FILE, load_key
from tmf_apis.errors import Conflict, NotFound
from tmf_apis.privacy.certificates import is_genuine
from tmf_apis.privacy.erasure import Erasure
from tmf_apis.security.personal_attributes import MASK


@pytest.fixture
def inactive(harness):
    """A customer without open orders, and another customer."""
    harness.create_customer()
    harness.create_customer("c2", "p2", name="zq Bob")
    harness.end_order()
    return harness


def erase(harness):
    return harness.engine.privacy.erasure.erase("t", "c1", "officer")


def test_an_export_has_all_resources_of_a_customer_and_no_others(inactive):
    export = inactive.engine.privacy.export("t", "c1")
    ids = {kind: [row["id"] for row in rows] for kind, rows in export["resource"].items()}
    assert ids == {"Customer": ["c1"], "Product": ["product-c1"], "ProductOrder": ["order-c1"]}
    assert export["resource"]["Customer"][0]["contactMedium"][0]["emailAddress"] == EMAIL
    with pytest.raises(NotFound):
        inactive.engine.privacy.export("other", "c1")


def test_an_erasure_leaves_nothing_that_names_the_customer(inactive):
    erase(inactive)
    for kind, id in (("Customer", "c1"), ("Product", "product-c1"), ("ProductOrder", "order-c1")):
        resource = inactive.repository.get(kind, id)
        assert not [text for text in (EMAIL, STREET, "zq Ada") if text in str(resource)], resource
    assert "zq Ada" not in str(list(inactive.database.ProductOrder.find({"id": "order-c1"})))
    assert inactive.occurrences("zq Ada") == []
    assert not inactive.database.Customer.find_one({"id": "c1"}).get("blind")


def test_an_erasure_keeps_the_resources_and_other_customers(inactive):
    erase(inactive)
    order = inactive.repository.get("ProductOrder", "order-c1")
    assert order["state"] == "cancelled"
    assert order["relatedParty"][0]["partyOrPartyRole"]["id"] == "p1"
    assert inactive.repository.get("Customer", "c2")["contactMedium"][0]["emailAddress"] == EMAIL
    assert inactive.repository.get("Customer", "c2")["name"] == "zq Bob"


def test_a_copy_of_an_erased_document_cannot_be_read(inactive):
    backup = inactive.database.Customer.find_one({"id": "c1"})
    erase(inactive)
    inactive.database.Customer.replace_one({"_id": backup["_id"]}, backup)
    assert EMAIL not in str(inactive.repository.get("Customer", "c1"))
    members = {"id": 1, "text.v5": 1}
    document = inactive.engine.resources.find_one("Customer", {"tenant": "t"}, "c1", members)
    assert MASK.encode() in document["text"]["v5"]


def test_the_certificate_names_what_was_destroyed_and_is_genuine(inactive):
    certificate = erase(inactive)
    states = {
        row["_id"]: row for row in inactive.database.personal_keys.find({"state": "destroyed"})
    }
    assert certificate["destroyedKey"] == sorted(states)
    assert not any("wrapped" in row for row in states.values())
    assert certificate["keptWithoutPerson"] == {"Customer": 1, "Product": 1, "ProductOrder": 1}
    public = load_key(inactive.folder / KEY_FILE).public
    assert is_genuine(certificate, public)
    assert not is_genuine({**certificate, "customer": "c2"}, public)
    assert inactive.engine.privacy.erasure.certificate("t", certificate["id"]) == certificate


def test_a_customer_with_an_open_order_is_not_erased(harness):
    harness.create_customer()
    with pytest.raises(Conflict, match="order-c1 is in progress"):
        erase(harness)
    assert harness.repository.get("Customer", "c1")["name"] == "zq Ada"


def test_the_party_of_two_customers_stays_until_the_last_one_is_erased(inactive):
    inactive.repository.create(
        "Customer", {"id": "c3", "name": "zq Ada", "engagedParty": {"id": "p1", "name": "zq Ada"}}
    )
    certificate = erase(inactive)
    assert certificate["partyKeptFor"] == ["c3"]
    assert inactive.repository.get("Customer", "c3")["engagedParty"]["name"] == "zq Ada"


@pytest.mark.parametrize("step", ["_overwrite", "_delete_copies", "_delete_notifications"])
def test_an_interrupted_erasure_is_completed(inactive, monkeypatch, step):
    class Killed(BaseException):
        pass

    def kill(*_args, **_options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Erasure, step, kill)
        with pytest.raises(Killed):
            erase(inactive)
    assert EMAIL not in str(inactive.repository.get("Customer", "c1"))
    inactive.restart()
    assert inactive.engine.privacy.erasure.resume() == 1
    assert inactive.engine.privacy.erasure.resume() == 0
    assert inactive.occurrences("zq Ada") == []


def test_another_process_stops_reading_within_a_second(inactive):
    first = inactive.engine
    assert first.resources.find_one("Customer", {"tenant": "t"}, "c1", {"id": 1, "body": 1})
    inactive.restart()
    erase(inactive)
    first.data_keys._checked_at -= 1.0  # a second later
    document = first.resources.find_one("Customer", {"tenant": "t"}, "c1", {"id": 1, "body": 1})
    assert EMAIL not in str(document["body"])


def test_a_new_customer_with_the_id_of_an_erased_one_gets_a_new_key(inactive):
    erase(inactive)
    medium = [{"@type": "EmailContactMedium", "emailAddress": EMAIL}]
    inactive.repository.change("Customer", "c1", lambda c: {**c, "contactMedium": medium})
    assert inactive.repository.get("Customer", "c1")["contactMedium"] == medium


def test_personal_data_is_overwritten_after_its_retention_time(harness):
    harness.restart(retention=(("ProductOrder", 30.0),))
    harness.create_customer()
    harness.create_customer("c2", "p2")
    harness.end_order()
    retention = harness.engine.privacy.retention
    assert retention.run() == 0
    assert retention.run(datetime.now(UTC) + timedelta(days=31)) == 1
    assert retention.run(datetime.now(UTC) + timedelta(days=31)) == 0
    assert STREET not in str(harness.repository.get("ProductOrder", "order-c1"))
    assert STREET in str(harness.repository.get("ProductOrder", "order-c2"))
    assert STREET in str(harness.repository.get("Product", "product-c1"))
