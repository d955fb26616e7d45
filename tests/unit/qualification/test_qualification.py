"""Whether a service can be had: from the catalogues and from what is free."""

import pytest

from tests.support.contract_enums import enum_values
from tests.support.memory_repository import MemoryRepository
from tmf_apis.qualification import api_module, rules
from tmf_apis.settings import Settings

HERE = {"id": "here", "role": "site", "@referredType": "GeographicSite"}


@pytest.fixture
def desk():
    made = MemoryRepository(api_module(Settings()).policies)
    for kind, resource in (
        (
            "ServiceSpecification",
            {
                "id": "internet",
                "lifecycleStatus": "Active",
                "serviceSpecRelationship": [{"id": "line", "relationshipType": "consistsOf"}],
            },
        ),
        (
            "ServiceSpecification",
            {
                "id": "line",
                "lifecycleStatus": "Active",
                "resourceSpecification": [{"id": "port"}, {"id": "uplink", "minimumQuantity": 0}],
            },
        ),
        ("ServiceSpecification", {"id": "old", "lifecycleStatus": "Retired"}),
        ("ResourceSpecification", {"id": "port", "category": "accessPort"}),
        ("ResourceSpecification", {"id": "uplink", "category": "uplink"}),
    ):
        made.create(kind, resource)
    return made


def a_port(desk, place="here", **states):
    usual = {"usageState": "idle", "operationalState": "enabled", "administrativeState": "unlocked"}
    at = [{"place": {"id": place}}]
    desk.create("Resource", {"category": "accessPort", "place": at, **usual, **states})


def ask(desk, id="internet", *, place=HERE, **more):
    service = {"serviceSpecification": {"id": id}, "place": [place] if place else []}
    more.setdefault("provideUnavailabilityReason", True)
    task = {"id": "q", "serviceQualificationItem": [{"service": service}], **more}
    desk.create("CheckServiceQualification", task, system=False)
    return desk.get("CheckServiceQualification", "q")


def test_the_states_are_exactly_those_of_the_contract():
    assert rules.TASK_LIFECYCLE.states == enum_values("TMF645-v4", "TaskStateType")


def test_a_service_can_be_had_where_a_port_is_free(desk):
    a_port(desk)
    done = ask(desk)
    assert (done["state"], done["qualificationResult"]) == ("done", "qualified")
    (item,) = done["serviceQualificationItem"]
    assert (item["id"], item["state"]) == ("1", "done")
    assert done["checkServiceQualificationDate"] <= done["effectiveQualificationDate"]


@pytest.mark.parametrize(
    "states",
    [
        {"usageState": "active"},
        {"operationalState": "disabled"},
        {"administrativeState": "locked"},
        {"allocationStatus": "reserved"},
        {"place": [{"place": {"id": "there"}}]},
    ],
)
def test_a_service_cannot_be_had_where_no_port_is_free(desk, states):
    a_port(desk, **states)
    done = ask(desk)
    assert done["qualificationResult"] == "unqualified"
    (reason,) = done["serviceQualificationItem"][0]["eligibilityUnavailabilityReason"]
    assert reason == {"code": "noResource", "label": "no accessPort is free at here"}


@pytest.mark.parametrize(("id", "code"), [("old", "notOnSale"), ("none", "unknownSpecification")])
def test_what_is_not_on_sale_cannot_be_had(desk, id, code):
    (item,) = ask(desk, id)["serviceQualificationItem"]
    assert [one["code"] for one in item["eligibilityUnavailabilityReason"]] == [code]


def test_who_does_not_ask_for_reasons_gets_none(desk):
    (item,) = ask(desk, provideUnavailabilityReason=False)["serviceQualificationItem"]
    assert item["qualificationResult"] == "unqualified"
    assert "eligibilityUnavailabilityReason" not in item


def test_a_query_answers_with_what_can_be_had_and_not_with_its_parts(desk):
    def query(id):
        task = {"id": id, "searchCriteria": {"service": {"place": [HERE]}}}
        desk.create("QueryServiceQualification", task, system=False)
        return desk.get("QueryServiceQualification", id)["serviceQualificationItem"]

    assert query("before") == []
    a_port(desk)
    assert [one["service"]["serviceSpecification"]["id"] for one in query("after")] == ["internet"]
