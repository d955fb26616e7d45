"""What product orders may be and become, and how they are cancelled."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_repository import NOW, MemoryRepository, request_context
from tests.support.paths import OPENAPI
from tmf_apis.catalog import api_module as catalog
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody, NotFound
from tmf_apis.ordering import actions, api_module, items, rules, state_machines
from tmf_apis.ordering.states import (
    CANCEL_TASK_LIFECYCLE,
    ITEM_LIFECYCLE,
    ORDER_LIFECYCLE,
    state_of_order,
)
from tmf_apis.rest.pipeline.policy import rfc3339
from tmf_apis.settings import Settings

CONTRACTS = OPENAPI
STAMP = rfc3339(NOW)


def item(id="1", action="add", **more):
    return {"@type": "ProductOrderItem", "id": id, "action": action, **more}


def order(*its, **more):
    return {"@type": "ProductOrder", "productOrderItem": list(its or [item()]), **more}


def a_desk(**changes):
    laws = {**catalog(Settings()).policies, **api_module(Settings()).policies}
    return MemoryRepository(laws, **changes)


def placed(desk, *its, **more):
    return desk.create("ProductOrder", {"id": "o1", **order(*its, **more)}, system=False)


def moved(desk, state, *, system=True):
    return desk.change("ProductOrder", "o1", lambda o: {**o, "state": state}, system=system)


def set_items(desk, **states):
    def edit(stored):
        changed = [
            {**one, "state": states.get(one["id"], one["state"])}
            for one in stored["productOrderItem"]
        ]
        return {**stored, "productOrderItem": changed}

    return lambda *, system=True: desk.change("ProductOrder", "o1", edit, system=system)


@pytest.fixture(scope="module")
def schemas():
    text = (CONTRACTS / "TMF622-v5.yaml").read_text()
    return yaml.load(text, Loader=yaml.CSafeLoader)["components"]["schemas"]


# The machines


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (ORDER_LIFECYCLE, "ProductOrderStateType"),
        (ITEM_LIFECYCLE, "ProductOrderItemStateType"),
        (CANCEL_TASK_LIFECYCLE, "TaskStateType"),
    ],
)
def test_a_machine_has_exactly_the_states_of_the_contract(machine, name, schemas):
    assert set(machine.states) == set(schemas[name]["enum"])


@pytest.mark.parametrize("machine", [ORDER_LIFECYCLE, ITEM_LIFECYCLE, CANCEL_TASK_LIFECYCLE])
def test_every_step_leads_to_a_state_of_the_machine(machine):
    for steps in (machine.transitions, machine.system_transitions):
        assert frozenset().union(*steps.values()) <= machine.states
    assert set(machine.initial_states) <= machine.states


@pytest.mark.parametrize("machine", [ORDER_LIFECYCLE, ITEM_LIFECYCLE])
def test_every_state_that_is_not_final_leads_to_the_end(machine):
    reached, before = set(machine.final_states), None
    while reached != before:
        before = set(reached)
        for state in machine.states:
            leads = machine.transitions.get(state, frozenset()) | machine.system_transitions.get(
                state, frozenset()
            )
            if leads & reached:
                reached.add(state)
    assert reached == machine.states


def test_the_actions_are_those_of_the_contract(schemas):
    assert list(items.ACTIONS) == schemas["ItemActionType"]["enum"]


def test_the_machines_can_be_read():
    kinds = [machine["kind"] for machine in state_machines()]
    assert kinds == ["ProductOrder", "ProductOrderItem", "CancelProductOrder"]
    assert json.dumps(state_machines())


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(ITEM_LIFECYCLE.states)), max_size=6))
def test_the_state_of_an_order_is_one_of_the_contract_whatever_its_items_are(states):
    derived = state_of_order(states)
    assert derived in ITEM_LIFECYCLE.states
    assert (derived in ITEM_LIFECYCLE.final_states) == (
        bool(states) and set(states) <= ITEM_LIFECYCLE.final_states
    )


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(sorted(ITEM_LIFECYCLE.states)), min_size=1, max_size=6), st.randoms()
)
def test_the_state_of_an_order_does_not_depend_on_the_order_of_its_items(states, random):
    shuffled = list(states)
    random.shuffle(shuffled)
    assert state_of_order(shuffled) == state_of_order(states)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "acknowledged"),
        (["acknowledged"], "acknowledged"),
        (["acknowledged", "inProgress"], "inProgress"),
        (["held", "inProgress"], "inProgress"),
        (["held", "pending"], "held"),
        (["pending", "completed"], "pending"),
        (["acknowledged", "completed"], "inProgress"),
        (["acknowledged", "cancelled"], "acknowledged"),
        (["completed", "completed"], "completed"),
        (["completed", "cancelled"], "partial"),
        (["failed", "cancelled"], "failed"),
        (["rejected", "cancelled"], "cancelled"),
        (["rejected", "rejected"], "rejected"),
        (["pendingCancellation", "inProgress"], "pendingCancellation"),
    ],
)
def test_the_state_of_an_order_follows_from_its_items(states, expected):
    assert state_of_order(states) == expected


# A new order


def test_an_item_may_come_with_nothing_but_id_and_action():
    made = placed(a_desk())
    assert made["state"] == "acknowledged"
    assert made["creationDate"] == STAMP
    assert made["productOrderItem"] == [item(state="acknowledged")]


def test_states_and_dates_of_a_client_do_not_count_in_a_new_order():
    made = placed(a_desk(), item(state="completed"), state="completed", creationDate="2001")
    assert (made["state"], made["creationDate"]) == ("acknowledged", STAMP)
    assert made["productOrderItem"][0]["state"] == "acknowledged"


def test_an_order_may_start_as_a_draft_and_be_submitted():
    desk = a_desk()
    assert placed(desk, requestedInitialState="draft")["state"] == "draft"
    assert moved(desk, "acknowledged", system=False)["state"] == "acknowledged"


def test_the_server_itself_loads_an_order_in_any_state():
    made = a_desk().create(
        "ProductOrder",
        order(item(state="completed"), state="completed", creationDate="2025-01-01T00:00:00.000Z"),
    )
    assert made["state"] == "completed"
    assert made["creationDate"] == "2025-01-01T00:00:00.000Z"
    assert made["completionDate"] == STAMP


def test_items_without_an_id_get_the_free_numbers():
    part = {"action": "add"}
    made = placed(a_desk(), part, item("1", productOrderItem=[part]), part)
    assert [one["id"] for _, one in items.items_with_pointers(made)] == ["2", "1", "3", "4"]


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        (order(productOrderItem=[]), "/productOrderItem"),
        (order({"id": "1"}), "/productOrderItem/0/action"),
        (order(item(action="rent")), "/productOrderItem/0/action"),
        (order(item(), item()), "/productOrderItem/1/id"),
        (order(item(productOrderItem=[item()])), "/productOrderItem/0/productOrderItem/0/id"),
        (order(item(quantity=0)), "/productOrderItem/0/quantity"),
        (order(priority="5"), "/priority"),
        (
            order(
                requestedStartDate="2026-02-02T00:00:00.000Z",
                requestedCompletionDate="2026-02-01T00:00:00.000Z",
            ),
            "/requestedCompletionDate",
        ),
        (
            order(item(productOrderItemRelationship=[{"id": "7"}])),
            "/productOrderItem/0/productOrderItemRelationship/0/id",
        ),
        (
            order(item(productOrderItemRelationship=[{"id": "1"}])),
            "/productOrderItem/0/productOrderItemRelationship/0/id",
        ),
    ],
)
def test_an_order_that_is_not_whole_is_refused_with_the_place(wrong, at):
    with pytest.raises(InvalidBody) as refused:
        a_desk().create("ProductOrder", wrong, system=False)
    assert refused.value.message.startswith(f"{at}:")


def relies(id, on, kind="reliesOn"):
    return item(id, productOrderItemRelationship=[{"id": on, "relationshipType": kind}])


def test_relations_of_items_that_come_back_are_refused():
    with pytest.raises(InvalidBody, match="a -> b -> c -> a"):
        placed(a_desk(), relies("a", "b"), relies("b", "c"), relies("c", "a"))


def test_a_relation_and_its_inverse_are_no_cycle():
    made = placed(a_desk(), relies("a", "b"), relies("b", "a", "isReliedOnBy"))
    assert made["state"] == "acknowledged"


def test_a_relation_without_an_id_is_left_alone():
    assert placed(a_desk(), item(productOrderItemRelationship=[{"relationshipType": "x"}]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_relations_pass_exactly_when_the_items_can_be_put_in_sequence(pairs):
    given_items = [
        item(
            str(number),
            productOrderItemRelationship=[
                {"id": str(on), "relationshipType": "reliesOn"} for a, on in pairs if a == number
            ],
        )
        for number in range(6)
    ]
    left = {number: {on for a, on in pairs if a == number} for number in range(6)}
    while free := [number for number, on in left.items() if not on & left.keys()]:
        left = {number: on for number, on in left.items() if number not in free}
    if left:
        with pytest.raises(InvalidBody):
            items.check(order(*given_items))
    else:
        items.check(order(*given_items))


def test_a_note_gets_its_id_date_and_author():
    made = placed(a_desk(), note=[{"text": "a"}, {"text": "b", "id": "1", "author": "Ada"}])
    assert made["note"] == [
        {"text": "a", "id": "2", "date": STAMP, "author": "tester"},
        {"text": "b", "id": "1", "date": STAMP, "author": "Ada"},
    ]


def test_an_order_belongs_to_every_party_it_names():
    related = [{"partyOrPartyRole": {"id": "role", "partyId": "ada"}}, {"role": "none"}]
    owned = order(item(relatedParty=[{"id": "bob"}]), relatedParty=related)
    assert set(rules.parties(owned)) == {"role", "ada", "bob"}


# A changed order


def test_a_client_can_hold_and_resume_an_order():
    desk = a_desk()
    placed(desk)
    for state in ("held", "pending", "inProgress", "held", "inProgress"):
        assert moved(desk, state, system=False)["state"] == state


@pytest.mark.parametrize("state", ["completed", "failed", "partial", "assessingCancellation"])
def test_what_came_of_the_work_only_the_server_says(state):
    desk = a_desk()
    placed(desk)
    with pytest.raises(IllegalTransition, match="allowed: cancelled, held, inProgress"):
        moved(desk, state, system=False)


def test_an_order_that_is_finished_takes_its_items_along():
    desk = a_desk()
    placed(desk, item("1", productOrderItem=[item("2"), item("3")]))
    made = moved(desk, "rejected", system=False)
    assert made["completionDate"] == STAMP
    assert {one["state"] for _, one in items.items_with_pointers(made)} == {"rejected"}


def test_an_order_follows_its_items():
    desk = a_desk()
    placed(desk, item("1"), item("2"))
    assert set_items(desk, **{"1": "inProgress"})()["state"] == "inProgress"
    assert set_items(desk, **{"1": "completed"})()["state"] == "inProgress"
    assert set_items(desk, **{"2": "inProgress"})()["state"] == "inProgress"
    done = set_items(desk, **{"2": "failed"})()
    assert (done["state"], done["completionDate"]) == ("partial", STAMP)


def test_a_bundle_item_follows_its_parts():
    desk = a_desk()
    placed(desk, item("1", productOrderItem=[item("2"), item("3")]))

    def edit(stored):
        [bundle] = stored["productOrderItem"]
        parts = [{**part, "state": "inProgress"} for part in bundle["productOrderItem"]]
        return {**stored, "productOrderItem": [{**bundle, "productOrderItem": parts}]}

    made = desk.change("ProductOrder", "o1", edit)
    assert made["state"] == made["productOrderItem"][0]["state"] == "inProgress"


def test_one_cancelled_item_does_not_move_an_order_that_waits():
    desk = a_desk()
    placed(desk, item("1"), item("2"))
    assert set_items(desk, **{"1": "cancelled"})(system=False)["state"] == "acknowledged"


def test_the_state_of_an_item_goes_only_where_its_lifecycle_leads():
    desk = a_desk()
    placed(desk)
    with pytest.raises(IllegalTransition, match="ProductOrderItem /productOrderItem/0"):
        set_items(desk, **{"1": "completed"})(system=False)


def test_items_that_say_no_state_keep_it():
    desk = a_desk()
    placed(desk)
    set_items(desk, **{"1": "held"})()
    made = desk.change(
        "ProductOrder", "o1", lambda o: {**o, "productOrderItem": [item(), item("2")]}, system=False
    )
    assert [one["state"] for one in made["productOrderItem"]] == ["held", "acknowledged"]


def test_a_state_that_is_taken_away_stays():
    desk = a_desk()
    placed(desk)
    moved(desk, "inProgress")
    kept = {k: v for k, v in desk.get("ProductOrder", "o1").items() if k != "state"}
    assert rules.on_change(desk.get("ProductOrder", "o1"), kept, request_context())["state"] == (
        "inProgress"
    )


def test_what_is_ordered_cannot_be_changed_once_work_has_begun():
    desk = a_desk()
    placed(desk)
    moved(desk, "inProgress")
    with pytest.raises(Conflict, match="/productOrderItem: work on the order has begun"):
        desk.change(
            "ProductOrder", "o1", lambda o: {**o, "productOrderItem": [item("9")]}, system=False
        )
    assert (
        desk.change("ProductOrder", "o1", lambda o: {**o, "description": "x"}, system=False)[
            "description"
        ]
        == "x"
    )


def test_an_order_with_begun_items_is_cancelled_by_the_task_only():
    desk = a_desk()
    placed(desk, item("1"), item("2"))
    set_items(desk, **{"1": "inProgress"})()
    moved(desk, "held", system=False)
    with pytest.raises(Conflict, match="cancelProductOrder"):
        moved(desk, "cancelled", system=False)


def test_a_client_cancels_an_order_that_nothing_was_done_for():
    desk = a_desk()
    placed(desk)
    made = moved(desk, "cancelled", system=False)
    assert made["cancellationDate"] == made["completionDate"] == STAMP


def test_a_finished_order_takes_notes_and_no_other_work():
    desk = a_desk()
    placed(desk)
    moved(desk, "completed")
    noted = desk.change(
        "ProductOrder", "o1", lambda o: {**o, "note": [{"text": "x"}]}, system=False
    )
    assert noted["note"][0]["author"] == "tester"
    with pytest.raises(Conflict, match="/priority: the order is completed"):
        desk.change("ProductOrder", "o1", lambda o: {**o, "priority": "1"}, system=False)


def test_an_order_is_deleted_before_the_work_or_after_it():
    law = api_module(Settings()).policies["ProductOrder"]
    for state in ("draft", "acknowledged", "completed"):
        law.on_delete({"state": state}, request_context())
    law.on_delete({"state": "inProgress"}, request_context(system=True))
    with pytest.raises(Conflict, match="ProductOrder is inProgress"):
        law.on_delete({"state": "inProgress"}, request_context())


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(ORDER_LIFECYCLE.states)), st.booleans()), max_size=8)
)
def test_an_order_never_leaves_the_published_states(steps):
    desk = a_desk()
    placed(desk, item("1"), item("2", productOrderItem=[item("3")]))
    for state, system in steps:
        before = desk.get("ProductOrder", "o1")["state"]
        try:
            after = moved(desk, state, system=system)
        except Conflict:
            after = desk.get("ProductOrder", "o1")
            assert after["state"] == before
        assert after["state"] in ORDER_LIFECYCLE.states
        assert {
            one["state"] for _, one in items.items_with_pointers(after)
        } <= ITEM_LIFECYCLE.states
        assert before not in ORDER_LIFECYCLE.final_states or after["state"] == before


# Cancelling


def ask(desk, **more):
    task = {"id": "t1", "@type": "CancelProductOrder", "productOrder": {"id": "o1"}, **more}
    return desk.create("CancelProductOrder", task, system=False)


def test_an_order_that_nothing_was_done_for_is_cancelled_at_once():
    desk = a_desk()
    placed(desk, relatedParty=[{"id": "ada"}])
    task = ask(desk, cancellationReason="too late")
    assert (task["state"], task["effectiveCancellationDate"]) == ("done", STAMP)
    made = desk.get("ProductOrder", "o1")
    assert (made["state"], made["cancellationReason"]) == ("cancelled", "too late")
    assert made["productOrderItem"][0]["state"] == "cancelled"
    assert list(rules.task_parties(task)) == ["ada"]


def test_an_order_being_worked_on_is_assessed_first_and_then_undone():
    desk = a_desk()
    placed(desk)
    set_items(desk, **{"1": "inProgress"})()
    task = ask(desk)
    assert task["state"] == "inProgress"
    assert desk.get("ProductOrder", "o1")["state"] == "assessingCancellation"
    for _ in range(2):
        actions.assess(desk, desk.get("CancelProductOrder", "t1"))
        assert desk.get("CancelProductOrder", "t1")["state"] == "done"
        assert desk.get("ProductOrder", "o1")["state"] == "cancelled"


@pytest.mark.parametrize("writes", range(4))
def test_a_cancellation_that_crashed_half_way_is_finished_by_doing_it_again(writes):
    desk = a_desk()
    placed(desk)
    moved(desk, "inProgress")
    ask(desk)
    desk.writes_until_crash = writes
    try:
        actions.assess(desk, desk.get("CancelProductOrder", "t1"))
    except RuntimeError:
        desk.writes_until_crash = None
        actions.assess(desk, desk.get("CancelProductOrder", "t1"))
    assert desk.get("CancelProductOrder", "t1")["state"] == "done"
    assert desk.get("ProductOrder", "o1")["state"] == "cancelled"


def test_a_cancellation_comes_too_late_when_the_point_was_passed_meanwhile():
    desk = a_desk()
    placed(desk, item("1"), item("2"))
    set_items(desk, **{"1": "inProgress"})()
    ask(desk)
    milestone = [{"name": rules.POINT_OF_NO_RETURN, "status": "Completed"}]
    desk.change("ProductOrder", "o1", lambda o: {**o, "productOrderMilestone": milestone})
    actions.assess(desk, desk.get("CancelProductOrder", "t1"))
    task = desk.get("CancelProductOrder", "t1")
    assert task["state"] == "terminatedWithError"
    assert "point of no return" in task["errorMessage"]["message"]
    assert desk.get("ProductOrder", "o1")["state"] == "inProgress"
    assert actions.refuse(desk, "t1", "again") == task
    assert actions.confirm(desk, "t1") == task


def test_an_order_past_the_point_of_no_return_is_not_cancelled():
    desk = a_desk()
    placed(desk)
    milestone = [{"name": rules.POINT_OF_NO_RETURN, "status": "Completed"}]
    desk.change(
        "ProductOrder",
        "o1",
        lambda o: {**o, "state": "inProgress", "productOrderMilestone": milestone},
    )
    with pytest.raises(Conflict, match="past the point of no return"):
        ask(desk)
    assert desk.get("ProductOrder", "o1")["state"] == "inProgress"


def test_a_finished_order_is_not_cancelled():
    desk = a_desk()
    placed(desk)
    moved(desk, "completed")
    with pytest.raises(IllegalTransition, match="none, the state is final"):
        ask(desk)


def test_an_order_is_cancelled_once():
    desk = a_desk()
    placed(desk)
    moved(desk, "inProgress")
    ask(desk)
    with pytest.raises(Conflict, match="under way"):
        actions.cancel(desk, {"productOrder": {"id": "o1"}})


def test_a_cancellation_of_nothing_is_refused():
    with pytest.raises(NotFound):
        ask(a_desk())
    with pytest.raises(InvalidBody, match="/productOrder/id"):
        ask(a_desk(), productOrder={"name": "x"})


def test_a_request_that_the_server_loads_keeps_its_date():
    loaded = {"creationDate": "2025-01-01T00:00:00.000Z"}
    assert rules.on_create_cancellation(loaded, request_context(system=True)) == loaded


# Offerings


def selling(**more):
    desk = a_desk(flags={"check_references": True})
    desk.create("ProductOffering", {"id": "fast", "name": "Fast", "lifecycleStatus": "Launched"})
    desk.change("ProductOffering", "fast", lambda o: {**o, **more})
    return desk


def buying(id, action="add"):
    return item(action=action, productOffering={"id": id})


def test_an_order_for_what_is_on_sale_passes():
    desk = selling()
    assert placed(desk, buying("fast"))["state"] == "acknowledged"
    assert moved(desk, "held")["state"] == "held"


def test_an_order_for_an_unknown_offering_is_refused_where_the_operator_says_so():
    with pytest.raises(InvalidBody, match=r"/productOrderItem/0/productOffering/id: .* slow"):
        placed(selling(), buying("slow"))
    assert placed(a_desk(), buying("slow"))


def test_what_is_not_on_sale_cannot_be_added_but_changed():
    with pytest.raises(Conflict, match="Retired"):
        placed(selling(lifecycleStatus="Retired"), buying("fast"))
    assert placed(selling(lifecycleStatus="Retired"), buying("fast", "modify"))


def test_what_is_sold_in_bundles_only_cannot_be_added_alone():
    with pytest.raises(Conflict, match="isSellable"):
        placed(selling(isSellable=False), buying("fast"))
    bundle = item("0", productOrderItem=[buying("fast")])
    assert placed(selling(isSellable=False), bundle)
