"""The deeds of customers, bills, resources and alarms through the engine, on a real database."""

import pytest

from tmf_apis import alarms, billing, customer, inventory
from tmf_apis.alarms import AlarmKey, find_open
from tmf_apis.errors import Conflict
from tmf_apis.rest.pipeline.documents import DocumentBuilder
from tmf_apis.rest.pipeline.repository import ScopedRepository
from tmf_apis.rest.pipeline.writer import ResourceWriter
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings
from tmf_apis.store.count_cache import CountCache
from tmf_apis.store.indexes import ensure_indexes
from tmf_apis.store.resources import ResourceStore

STAFF = Identity("tester", "t1")
ROOMS = [one.api_module(Settings()) for one in (customer, billing, inventory, alarms)]


class Door:
    """What a client does: creates and changes as itself; and a desk to look."""

    def __init__(self, database):
        ensure_indexes(database, [model for room in ROOMS for model in room.models])
        laws = {kind: law for room in ROOMS for kind, law in room.policies.items()}
        self.laws = laws
        self.database = database
        resources = ResourceStore(database, CountCache(database), query_time=5000)
        builder = DocumentBuilder(laws, {}, KindRegistry())
        self.writes = ResourceWriter(resources, builder, {}, ScopedRepository)
        self.desk = self.writes.repository_for(STAFF, self.writes.request_context(STAFF))

    def post(self, kind, id=None, **resource):
        new = {"@type": kind, **resource, **({"id": id} if id else {})}
        made = self.writes.create(STAFF, kind, new, self.writes.request_context(STAFF))
        return {"id": made.id, **made.body}


@pytest.fixture
def door(database):
    return Door(database)


def edge(type_, target):
    return [{"relationshipType": type_, "resource": {"id": target}}]


def test_both_sides_of_a_relationship_follow_each_other(door):
    door.post("Resource", "card", name="Card")
    door.post("Resource", "port", name="Port", resourceRelationship=edge("isContainedIn", "card"))
    (other,) = door.desk.get("Resource", "card")["resourceRelationship"]
    assert (other["relationshipType"], other["resource"]["id"]) == ("contains", "port")
    with pytest.raises(Conflict, match=r"needed by Port \(port\)"):
        door.desk.delete("Resource", "card")
    door.desk.delete("Resource", "port")
    assert "resourceRelationship" not in door.desk.get("Resource", "card")
    door.desk.delete("Resource", "card")


def test_nothing_is_inside_itself(door):
    door.post("Resource", "a", name="A")
    door.post("Resource", "b", name="B", resourceRelationship=edge("isContainedIn", "a"))
    with pytest.raises(Conflict, match="inside itself"):
        door.desk.change(
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


def an_alarm(door, id, **more):
    alarm = {"state": "raised", "perceivedSeverity": "major", "sourceSystemId": "gw"}
    return door.post("Alarm", id, externalAlarmId=f"link/{id}", **alarm, **more)


def test_tasks_find_alarms_by_id_and_by_pattern(door):
    for one in "abc":
        an_alarm(door, one, alarmedObject={"id": "port1" if one < "c" else "port2"})
    pattern = [{"alarmedObject": {"id": "port1"}, "sourceSystemId": "gw"}]
    task = door.post("ClearAlarm", alarmPattern=pattern, clearUserId="ada")
    assert (task["state"], [one["id"] for one in task["clearedAlarm"]]) == ("done", ["a", "b"])
    assert door.desk.get("Alarm", "a")["perceivedSeverity"] == "cleared"
    assert find_open(door.desk, AlarmKey("gw", "link/a")) is None
    assert find_open(door.desk, AlarmKey("gw", "link/c"))["id"] == "c"
    comment = {"comment": "hm"}
    task = door.post("CommentAlarm", alarmPattern=[{"id": "c"}, {"id": "x"}], comment=comment)
    assert task["state"] == "terminatedWithError"
    assert [one["alarm"]["id"] for one in task["failure"]] == ["x"]
    assert door.desk.get("Alarm", "c")["comment"][0]["userId"] == "tester"


def test_a_group_knows_its_alarms_and_they_know_it(door):
    for one in "pab":
        an_alarm(door, one)
    links = {"parentAlarm": {"id": "p"}, "correlatedAlarm": [{"id": "a"}, {"id": "b"}]}
    assert door.post("GroupAlarm", **links)["state"] == "done"
    assert [one["id"] for one in door.desk.get("Alarm", "p")["correlatedAlarm"]] == ["a", "b"]
    assert [one["id"] for one in door.desk.get("Alarm", "a")["parentAlarm"]] == ["p"]
    door.desk.delete("Alarm", "p")
    assert "parentAlarm" not in door.desk.get("Alarm", "a")


def test_a_bill_on_demand_adds_up(door):
    engaged = {"id": "p1", "name": "Ada"}
    door.post("Customer", name="Ada", engagedParty=engaged, account=[{"id": "acc"}])
    for number in range(3):
        door.post(
            "AppliedCustomerBillingRate",
            f"r{number}",
            billingAccount={"id": "acc"},
            taxExcludedAmount={"unit": "EUR", "value": 10.1},
            appliedTax=[{"taxCategory": "VAT", "taxRate": 20}],
        )
    task = door.post("CustomerBillOnDemand", billingAccount={"id": "acc"})
    for _ in range(2):
        door.laws["CustomerBillOnDemand"].begin(door.desk, task)
    ended = door.desk.get("CustomerBillOnDemand", task["id"])
    assert ended["state"] == "done"
    bill = door.desk.get("CustomerBill", ended["customerBill"]["id"])
    assert bill["taxIncludedAmount"] == {"unit": "EUR", "value": 36.36}
    stored = door.database.CustomerBill.find_one({"id": bill["id"]})
    assert stored["parties"] == ["acc", "p1"]
    assert all(rate["isBilled"] for rate in door.desk.find("AppliedCustomerBillingRate", {}))


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
def test_what_the_law_looks_up_it_looks_up_by_index(door, kind, query):
    path = next(iter(query)).removesuffix("resourceRelationship")
    door.database[kind].insert_many(
        {"_id": f"t1:{number}", "tenant": "t1", "id": str(number), "body": {}}
        for number in range(200)
    )
    found = door.database[kind].find({"tenant": "t1", **query}).explain()
    assert found["executionStats"]["totalDocsExamined"] == 0
    assert path in str(found["queryPlanner"]["winningPlan"])
