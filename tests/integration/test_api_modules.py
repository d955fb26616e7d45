"""Customers, bills, resources and alarms, written through the engine to a real database."""

import pytest

from tmf_apis import alarms, billing, customer, inventory
from tmf_apis.alarms import AlarmKey, find_open
from tmf_apis.errors import Conflict
from tmf_apis.rest.pipeline.documents import DocumentBuilder
from tmf_apis.rest.pipeline.repository import ScopedRepository
from tmf_apis.rest.pipeline.writer import ResourceWriter
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.rest.views.served_forms import ServedForms
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings
from tmf_apis.store.count_cache import CountCache
from tmf_apis.store.indexes import ensure_indexes
from tmf_apis.store.resources import ResourceStore

OPERATOR = Identity("tester", "t1")
API_MODULES = [package.api_module(Settings()) for package in (customer, billing, inventory, alarms)]


class Client:
    """A client that writes as itself, with a repository to read and to delete.

    Attributes:
        database: The database behind the repository.
        policies: The policy of each kind.
        repository: The repository of the client.
    """

    def __init__(self, database):
        models = [model for module in API_MODULES for model in module.models]
        ensure_indexes(database, models)
        self.policies = {
            kind: policy for module in API_MODULES for kind, policy in module.policies.items()
        }
        self.database = database
        resources = ResourceStore(database, CountCache(database), query_time=5000)
        builder = DocumentBuilder(self.policies, ServedForms(), KindRegistry())
        self._writer = ResourceWriter(resources, builder, {}, ScopedRepository)
        self.repository = self._writer.repository_for(OPERATOR, self._context())

    def _context(self):
        return self._writer.request_context(OPERATOR)

    def post(self, kind, id=None, **resource):
        new = {"@type": kind, **resource, **({"id": id} if id else {})}
        document = self._writer.create(OPERATOR, kind, new, self._context())
        return {"id": document.id, **document.body}


@pytest.fixture
def client(database):
    return Client(database)


def edge(type_, target):
    return [{"relationshipType": type_, "resource": {"id": target}}]


def test_both_sides_of_a_relationship_agree(client):
    client.post("Resource", "card", name="Card")
    client.post("Resource", "port", name="Port", resourceRelationship=edge("isContainedIn", "card"))
    (other,) = client.repository.get("Resource", "card")["resourceRelationship"]
    assert (other["relationshipType"], other["resource"]["id"]) == ("contains", "port")
    with pytest.raises(Conflict, match=r"needed by Port \(port\)"):
        client.repository.delete("Resource", "card")
    client.repository.delete("Resource", "port")
    assert "resourceRelationship" not in client.repository.get("Resource", "card")
    client.repository.delete("Resource", "card")


def test_a_resource_cannot_contain_itself(client):
    client.post("Resource", "a", name="A")
    client.post("Resource", "b", name="B", resourceRelationship=edge("isContainedIn", "a"))
    with pytest.raises(Conflict, match="inside itself"):
        client.repository.change(
            "Resource",
            "a",
            lambda old: {
                **old,
                "resourceRelationship": [
                    *old["resourceRelationship"],
                    *edge("isContainedIn", "b"),
                ],
            },
        )


def raise_alarm(client, id, **more):
    alarm = {"state": "raised", "perceivedSeverity": "major", "sourceSystemId": "gw"}
    return client.post("Alarm", id, externalAlarmId=f"link/{id}", **alarm, **more)


def test_tasks_find_alarms_by_id_and_by_pattern(client):
    for id in "abc":
        raise_alarm(client, id, alarmedObject={"id": "port1" if id < "c" else "port2"})
    pattern = [{"alarmedObject": {"id": "port1"}, "sourceSystemId": "gw"}]
    task = client.post("ClearAlarm", alarmPattern=pattern, clearUserId="ada")
    assert (task["state"], [alarm["id"] for alarm in task["clearedAlarm"]]) == ("done", ["a", "b"])
    assert client.repository.get("Alarm", "a")["perceivedSeverity"] == "cleared"
    assert find_open(client.repository, AlarmKey("gw", "link/a")) is None
    assert find_open(client.repository, AlarmKey("gw", "link/c"))["id"] == "c"
    comment = {"comment": "hm"}
    task = client.post("CommentAlarm", alarmPattern=[{"id": "c"}, {"id": "x"}], comment=comment)
    assert task["state"] == "terminatedWithError"
    assert [failure["alarm"]["id"] for failure in task["failure"]] == ["x"]
    assert client.repository.get("Alarm", "c")["comment"][0]["userId"] == "tester"


def test_a_parent_and_its_correlated_alarms_refer_to_each_other(client):
    for id in "pab":
        raise_alarm(client, id)
    links = {"parentAlarm": {"id": "p"}, "correlatedAlarm": [{"id": "a"}, {"id": "b"}]}
    assert client.post("GroupAlarm", **links)["state"] == "done"
    parent, child = (client.repository.get("Alarm", id) for id in "pa")
    assert [alarm["id"] for alarm in parent["correlatedAlarm"]] == ["a", "b"]
    assert [alarm["id"] for alarm in child["parentAlarm"]] == ["p"]
    client.repository.delete("Alarm", "p")
    assert "parentAlarm" not in client.repository.get("Alarm", "a")


def test_a_bill_on_demand_adds_up(client):
    engaged = {"id": "p1", "name": "Ada"}
    client.post("Customer", name="Ada", engagedParty=engaged, account=[{"id": "acc"}])
    for number in range(3):
        client.post(
            "AppliedCustomerBillingRate",
            f"r{number}",
            billingAccount={"id": "acc"},
            taxExcludedAmount={"unit": "EUR", "value": 10.1},
            appliedTax=[{"taxCategory": "VAT", "taxRate": 20}],
        )
    task = client.post("CustomerBillOnDemand", billingAccount={"id": "acc"})
    for _ in range(2):
        client.policies["CustomerBillOnDemand"].run_in_background(client.repository, task)
    ended = client.repository.get("CustomerBillOnDemand", task["id"])
    assert ended["state"] == "done"
    bill = client.repository.get("CustomerBill", ended["customerBill"]["id"])
    assert bill["taxIncludedAmount"] == {"unit": "EUR", "value": 36.36}
    stored = client.database.CustomerBill.find_one({"id": bill["id"]})
    assert stored["parties"] == ["acc", "p1"]
    assert all(
        rate["isBilled"] for rate in client.repository.find("AppliedCustomerBillingRate", {})
    )


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        ("Alarm", {"body.sourceSystemId": "gw", "body.externalAlarmId": "1"}),
        ("Alarm", {"body.alarmedObject.id": "port1"}),
        ("Alarm", {"body.parentAlarm.id": "p"}),
        ("Customer", {"body.engagedParty.id": "p1"}),
        ("Customer", {"body.account.id": "acc"}),
        ("Resource", {"body.resourceRelationship.resource.id": "card"}),
        (
            "Resource",
            {
                "body.resourceRelationship": {
                    "$elemMatch": {"relationshipType": {"$in": ["x"]}, "resource.id": "card"}
                }
            },
        ),
        ("AppliedCustomerBillingRate", {"body.bill.id": "b"}),
        ("AppliedCustomerBillingRate", {"body.billingAccount.id": "acc"}),
    ],
)
def test_queries_of_policies_use_an_index(client, kind, query):
    path = next(iter(query)).removesuffix("resourceRelationship")
    client.database[kind].insert_many(
        {"_id": f"t1:{number}", "tenant": "t1", "id": str(number), "body": {}}
        for number in range(200)
    )
    plan = client.database[kind].find({"tenant": "t1", **query}).explain()
    assert plan["executionStats"]["totalDocsExamined"] == 0
    assert path in str(plan["queryPlanner"]["winningPlan"])
