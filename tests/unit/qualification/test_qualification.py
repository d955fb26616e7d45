"""Availability of services, from the catalogues and the free resources."""

import pytest

from tests.support.contract_enums import enum_values
from tests.support.memory_repository import MemoryRepository
from tmf_apis.qualification import api_module, rules
from tmf_apis.settings import Settings

HERE = {"id": "here", "role": "site", "@referredType": "GeographicSite"}


@pytest.fixture
def repository():
    repository = MemoryRepository(api_module(Settings()).policies)
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
        repository.create(kind, resource)
    return repository


def create_port(repository, place="here", **states):
    free = {"usageState": "idle", "operationalState": "enabled", "administrativeState": "unlocked"}
    places = [{"place": {"id": place}}]
    repository.create("Resource", {"category": "accessPort", "place": places, **free, **states})


def qualify(repository, id="internet", *, place=HERE, **more):
    service = {"serviceSpecification": {"id": id}, "place": [place] if place else []}
    more.setdefault("provideUnavailabilityReason", True)
    task = {"id": "q", "serviceQualificationItem": [{"service": service}], **more}
    repository.create("CheckServiceQualification", task, system=False)
    return repository.get("CheckServiceQualification", "q")


def test_the_states_are_exactly_those_of_the_contract():
    assert rules.TASK_LIFECYCLE.states == enum_values("TMF645-v4", "TaskStateType")


def test_a_service_is_available_where_a_port_is_free(repository):
    create_port(repository)
    task = qualify(repository)
    assert (task["state"], task["qualificationResult"]) == ("done", "qualified")
    (item,) = task["serviceQualificationItem"]
    assert (item["id"], item["state"]) == ("1", "done")
    assert task["checkServiceQualificationDate"] <= task["effectiveQualificationDate"]


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
def test_a_service_is_not_available_where_no_port_is_free(repository, states):
    create_port(repository, **states)
    task = qualify(repository)
    assert task["qualificationResult"] == "unqualified"
    (reason,) = task["serviceQualificationItem"][0]["eligibilityUnavailabilityReason"]
    assert reason == {"code": "noResource", "label": "no accessPort is free at here"}


@pytest.mark.parametrize(("id", "code"), [("old", "notOnSale"), ("none", "unknownSpecification")])
def test_a_service_that_is_not_on_sale_is_not_available(repository, id, code):
    (item,) = qualify(repository, id)["serviceQualificationItem"]
    assert [reason["code"] for reason in item["eligibilityUnavailabilityReason"]] == [code]


def test_reasons_are_left_out_unless_they_are_requested(repository):
    (item,) = qualify(repository, provideUnavailabilityReason=False)["serviceQualificationItem"]
    assert item["qualificationResult"] == "unqualified"
    assert "eligibilityUnavailabilityReason" not in item


def test_a_query_answers_with_available_services_but_not_with_components(repository):
    def query(id):
        task = {"id": id, "searchCriteria": {"service": {"place": [HERE]}}}
        repository.create("QueryServiceQualification", task, system=False)
        return repository.get("QueryServiceQualification", id)["serviceQualificationItem"]

    assert query("before") == []
    create_port(repository)
    (item,) = query("after")
    assert item["service"]["serviceSpecification"]["id"] == "internet"
