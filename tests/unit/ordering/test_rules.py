"""Rules of product orders and of their cancellation."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_repository import NOW, MemoryRepository, request_context
from tests.support.paths import OPENAPI
from tmf_apis.catalog import api_module as catalog
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody, NotFound
from tmf_apis.ordering import api_module, items, product_orders, rules, state_machines
from tmf_apis.ordering.actions import PRODUCT_ORDER_CANCELLATION
from tmf_apis.ordering.items import PRODUCT_ORDER_ITEMS
from tmf_apis.ordering.order_schema import PRODUCT_ORDER_SCHEMA
from tmf_apis.ordering.states import (
    CANCEL_TASK_LIFECYCLE,
    ITEM_LIFECYCLE,
    ORDER_LIFECYCLE,
    state_of_order,
)
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.settings import Settings

STAMP = rfc3339(NOW)


def item(id="1", action="add", **more):
    return {"@type": "ProductOrderItem", "id": id, "action": action, **more}


def order(*items, **more):
    return {"@type": "ProductOrder", "productOrderItem": list(items or [item()]), **more}


def new_repository(**changes):
    policies = {**catalog(Settings()).policies, **api_module(Settings()).policies}
    return MemoryRepository(policies, **changes)


def place_order(repository, *items, **more):
    return repository.create("ProductOrder", {"id": "o1", **order(*items, **more)}, system=False)


def set_order_state(repository, state, *, system=True):
    return repository.change(
        "ProductOrder", "o1", lambda order: {**order, "state": state}, system=system
    )


def set_items(repository, **states):
    def edit(stored):
        changed = [
            {**item, "state": states.get(item["id"], item["state"])}
            for item in stored["productOrderItem"]
        ]
        return {**stored, "productOrderItem": changed}

    return lambda *, system=True: repository.change("ProductOrder", "o1", edit, system=system)


@pytest.fixture(scope="module")
def schemas():
    text = (OPENAPI / "TMF622-v5.yaml").read_text()
    return yaml.load(text, Loader=yaml.CSafeLoader)["components"]["schemas"]


# Lifecycles


@pytest.mark.parametrize(
    ("lifecycle", "name"),
    [
        (ORDER_LIFECYCLE, "ProductOrderStateType"),
        (ITEM_LIFECYCLE, "ProductOrderItemStateType"),
        (CANCEL_TASK_LIFECYCLE, "TaskStateType"),
    ],
)
def test_a_lifecycle_has_exactly_the_states_of_the_contract(lifecycle, name, schemas):
    assert set(lifecycle.states) == set(schemas[name]["enum"])


@pytest.mark.parametrize("lifecycle", [ORDER_LIFECYCLE, ITEM_LIFECYCLE, CANCEL_TASK_LIFECYCLE])
def test_every_transition_leads_to_a_state_of_the_lifecycle(lifecycle):
    for steps in (lifecycle.transitions, lifecycle.system_transitions):
        assert frozenset().union(*steps.values()) <= lifecycle.states
    assert set(lifecycle.initial_states) <= lifecycle.states


@pytest.mark.parametrize("lifecycle", [ORDER_LIFECYCLE, ITEM_LIFECYCLE])
def test_every_state_that_is_not_final_can_reach_a_final_state(lifecycle):
    reached, before = set(lifecycle.final_states), None
    while reached != before:
        before = set(reached)
        for state in lifecycle.states:
            leads = lifecycle.transitions.get(
                state, frozenset()
            ) | lifecycle.system_transitions.get(state, frozenset())
            if leads & reached:
                reached.add(state)
    assert reached == lifecycle.states


def test_the_actions_are_those_of_the_contract(schemas):
    assert list(items.ACTIONS) == schemas["ItemActionType"]["enum"]


def test_the_state_machines_are_available_as_json():
    kinds = [lifecycle["kind"] for lifecycle in state_machines()]
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


def test_an_item_needs_no_more_than_id_and_action():
    stored_order = place_order(new_repository())
    assert stored_order["state"] == "acknowledged"
    assert stored_order["creationDate"] == STAMP
    assert stored_order["productOrderItem"] == [item(state="acknowledged")]


def test_states_and_dates_sent_by_a_client_are_ignored_in_a_new_order():
    stored_order = place_order(
        new_repository(), item(state="completed"), state="completed", creationDate="2001"
    )
    assert (stored_order["state"], stored_order["creationDate"]) == ("acknowledged", STAMP)
    assert stored_order["productOrderItem"][0]["state"] == "acknowledged"


def test_an_order_may_start_as_a_draft_and_be_submitted():
    repository = new_repository()
    assert place_order(repository, requestedInitialState="draft")["state"] == "draft"
    assert set_order_state(repository, "acknowledged", system=False)["state"] == "acknowledged"


def test_the_server_can_load_an_order_in_any_state():
    stored_order = new_repository().create(
        "ProductOrder",
        order(item(state="completed"), state="completed", creationDate="2025-01-01T00:00:00.000Z"),
    )
    assert stored_order["state"] == "completed"
    assert stored_order["creationDate"] == "2025-01-01T00:00:00.000Z"
    assert stored_order["completionDate"] == STAMP


def test_items_without_an_id_get_the_lowest_free_numbers():
    part = {"action": "add"}
    stored_order = place_order(new_repository(), part, item("1", productOrderItem=[part]), part)
    assert [item["id"] for _, item in PRODUCT_ORDER_ITEMS.items_with_pointers(stored_order)] == [
        "2",
        "1",
        "3",
        "4",
    ]


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
            order(item(productOrderItemRelationship=[{"id": "7"}])),
            "/productOrderItem/0/productOrderItemRelationship/0/id",
        ),
        (
            order(item(productOrderItemRelationship=[{"id": "1"}])),
            "/productOrderItem/0/productOrderItemRelationship/0/id",
        ),
    ],
)
def test_an_invalid_order_is_refused_with_a_json_pointer(wrong, at):
    with pytest.raises(InvalidBody) as refused:
        new_repository().create("ProductOrder", wrong, system=False)
    assert refused.value.message.startswith(f"{at}:")


def relying_item(id, on, kind="reliesOn"):
    return item(id, productOrderItemRelationship=[{"id": on, "relationshipType": kind}])


def test_a_cycle_of_item_relationships_is_refused():
    with pytest.raises(InvalidBody, match="a -> b -> c -> a"):
        place_order(
            new_repository(), relying_item("a", "b"), relying_item("b", "c"), relying_item("c", "a")
        )


def test_a_relationship_and_its_inverse_are_no_cycle():
    stored_order = place_order(
        new_repository(), relying_item("a", "b"), relying_item("b", "a", "isReliedOnBy")
    )
    assert stored_order["state"] == "acknowledged"


def test_a_relationship_without_an_id_is_accepted():
    assert place_order(
        new_repository(), item(productOrderItemRelationship=[{"relationshipType": "x"}])
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_relationships_are_accepted_exactly_when_the_items_can_be_sorted(pairs):
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
            PRODUCT_ORDER_ITEMS.check(order(*given_items))
    else:
        PRODUCT_ORDER_ITEMS.check(order(*given_items))


def test_a_note_gets_its_id_date_and_author():
    stored_order = place_order(
        new_repository(), note=[{"text": "a"}, {"text": "b", "id": "1", "author": "Ada"}]
    )
    assert stored_order["note"] == [
        {"text": "a", "id": "2", "date": STAMP, "author": "tester"},
        {"text": "b", "id": "1", "date": STAMP, "author": "Ada"},
    ]


def test_an_order_belongs_to_every_party_it_names():
    related = [{"partyOrPartyRole": {"id": "role", "partyId": "ada"}}, {"role": "none"}]
    owned = order(item(relatedParty=[{"id": "bob"}]), relatedParty=related)
    assert set(product_orders.parties(owned)) == {"role", "ada", "bob"}


# A changed order


def test_a_client_can_hold_and_resume_an_order():
    repository = new_repository()
    place_order(repository)
    for state in ("held", "pending", "inProgress", "held", "inProgress"):
        assert set_order_state(repository, state, system=False)["state"] == state


@pytest.mark.parametrize("state", ["completed", "failed", "partial", "assessingCancellation"])
def test_only_the_server_sets_the_outcome_of_the_work(state):
    repository = new_repository()
    place_order(repository)
    with pytest.raises(IllegalTransition, match="allowed: cancelled, held, inProgress"):
        set_order_state(repository, state, system=False)


def test_the_items_of_an_order_end_with_it():
    repository = new_repository()
    place_order(repository, item("1", productOrderItem=[item("2"), item("3")]))
    stored_order = set_order_state(repository, "rejected", system=False)
    assert stored_order["completionDate"] == STAMP
    assert {item["state"] for _, item in PRODUCT_ORDER_ITEMS.items_with_pointers(stored_order)} == {
        "rejected"
    }


def test_the_state_of_an_order_changes_with_its_items():
    repository = new_repository()
    place_order(repository, item("1"), item("2"))
    assert set_items(repository, **{"1": "inProgress"})()["state"] == "inProgress"
    assert set_items(repository, **{"1": "completed"})()["state"] == "inProgress"
    assert set_items(repository, **{"2": "inProgress"})()["state"] == "inProgress"
    done = set_items(repository, **{"2": "failed"})()
    assert (done["state"], done["completionDate"]) == ("partial", STAMP)


def test_the_state_of_a_bundle_item_changes_with_its_parts():
    repository = new_repository()
    place_order(repository, item("1", productOrderItem=[item("2"), item("3")]))

    def edit(stored):
        [bundle] = stored["productOrderItem"]
        parts = [{**part, "state": "inProgress"} for part in bundle["productOrderItem"]]
        return {**stored, "productOrderItem": [{**bundle, "productOrderItem": parts}]}

    stored_order = repository.change("ProductOrder", "o1", edit)
    assert stored_order["state"] == stored_order["productOrderItem"][0]["state"] == "inProgress"


def test_one_cancelled_item_does_not_change_the_state_of_a_waiting_order():
    repository = new_repository()
    place_order(repository, item("1"), item("2"))
    assert set_items(repository, **{"1": "cancelled"})(system=False)["state"] == "acknowledged"


def test_an_item_transition_outside_the_lifecycle_is_refused():
    repository = new_repository()
    place_order(repository)
    with pytest.raises(IllegalTransition, match="ProductOrderItem /productOrderItem/0"):
        set_items(repository, **{"1": "completed"})(system=False)


def test_items_without_a_state_keep_their_previous_state():
    repository = new_repository()
    place_order(repository)
    set_items(repository, **{"1": "held"})()
    stored_order = repository.change(
        "ProductOrder",
        "o1",
        lambda order: {**order, "productOrderItem": [item(), item("2")]},
        system=False,
    )
    assert [item["state"] for item in stored_order["productOrderItem"]] == ["held", "acknowledged"]


def test_a_removed_state_is_restored():
    repository = new_repository()
    place_order(repository)
    set_order_state(repository, "inProgress")
    without_state = {k: v for k, v in repository.get("ProductOrder", "o1").items() if k != "state"}
    old = repository.get("ProductOrder", "o1")
    changed = rules.on_change(old, without_state, request_context(), PRODUCT_ORDER_SCHEMA)
    assert changed["state"] == "inProgress"


def test_what_is_ordered_cannot_be_changed_once_work_has_begun():
    repository = new_repository()
    place_order(repository)
    set_order_state(repository, "inProgress")
    with pytest.raises(Conflict, match="/productOrderItem: work on the order has begun"):
        repository.change(
            "ProductOrder",
            "o1",
            lambda order: {**order, "productOrderItem": [item("9")]},
            system=False,
        )
    assert (
        repository.change(
            "ProductOrder", "o1", lambda order: {**order, "description": "x"}, system=False
        )["description"]
        == "x"
    )


def test_an_order_with_started_items_is_cancelled_by_a_task_only():
    repository = new_repository()
    place_order(repository, item("1"), item("2"))
    set_items(repository, **{"1": "inProgress"})()
    set_order_state(repository, "held", system=False)
    with pytest.raises(Conflict, match="cancelProductOrder"):
        set_order_state(repository, "cancelled", system=False)


def test_a_client_can_cancel_an_order_before_work_begins():
    repository = new_repository()
    place_order(repository)
    stored_order = set_order_state(repository, "cancelled", system=False)
    assert stored_order["cancellationDate"] == stored_order["completionDate"] == STAMP


def test_a_finished_order_accepts_notes_but_no_other_priority():
    repository = new_repository()
    place_order(repository)
    set_order_state(repository, "completed")
    noted = repository.change(
        "ProductOrder", "o1", lambda order: {**order, "note": [{"text": "x"}]}, system=False
    )
    assert noted["note"][0]["author"] == "tester"
    with pytest.raises(Conflict, match="/priority: the order is completed"):
        repository.change(
            "ProductOrder", "o1", lambda order: {**order, "priority": "1"}, system=False
        )


def test_an_order_can_be_deleted_before_and_after_the_work():
    policy = api_module(Settings()).policies["ProductOrder"]
    for state in ("draft", "acknowledged", "completed"):
        policy.on_delete({"state": state}, request_context())
    policy.on_delete({"state": "inProgress"}, request_context(system=True))
    with pytest.raises(Conflict, match="ProductOrder is inProgress"):
        policy.on_delete({"state": "inProgress"}, request_context())


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(ORDER_LIFECYCLE.states)), st.booleans()), max_size=8)
)
def test_an_order_never_leaves_the_published_states(steps):
    repository = new_repository()
    place_order(repository, item("1"), item("2", productOrderItem=[item("3")]))
    for state, system in steps:
        before = repository.get("ProductOrder", "o1")["state"]
        try:
            after = set_order_state(repository, state, system=system)
        except Conflict:
            after = repository.get("ProductOrder", "o1")
            assert after["state"] == before
        assert after["state"] in ORDER_LIFECYCLE.states
        assert {
            item["state"] for _, item in PRODUCT_ORDER_ITEMS.items_with_pointers(after)
        } <= ITEM_LIFECYCLE.states
        assert before not in ORDER_LIFECYCLE.final_states or after["state"] == before


# Cancelling


def request_cancellation(repository, **more):
    task = {"id": "t1", "@type": "CancelProductOrder", "productOrder": {"id": "o1"}, **more}
    return repository.create("CancelProductOrder", task, system=False)


def test_an_order_is_cancelled_at_once_before_work_begins():
    repository = new_repository()
    place_order(repository, relatedParty=[{"id": "ada"}])
    task = request_cancellation(repository, cancellationReason="too late")
    assert (task["state"], task["effectiveCancellationDate"]) == ("done", STAMP)
    stored_order = repository.get("ProductOrder", "o1")
    assert (stored_order["state"], stored_order["cancellationReason"]) == ("cancelled", "too late")
    assert stored_order["productOrderItem"][0]["state"] == "cancelled"
    assert list(product_orders.task_parties(task)) == ["ada"]


def test_the_cancellation_of_an_order_in_progress_is_assessed_first():
    repository = new_repository()
    place_order(repository)
    set_items(repository, **{"1": "inProgress"})()
    task = request_cancellation(repository)
    assert task["state"] == "inProgress"
    assert repository.get("ProductOrder", "o1")["state"] == "assessingCancellation"
    for _ in range(2):
        PRODUCT_ORDER_CANCELLATION.assess(repository, repository.get("CancelProductOrder", "t1"))
        assert repository.get("CancelProductOrder", "t1")["state"] == "done"
        assert repository.get("ProductOrder", "o1")["state"] == "cancelled"


@pytest.mark.parametrize("writes", range(4))
def test_a_crashed_cancellation_is_completed_when_it_is_repeated(writes):
    repository = new_repository()
    place_order(repository)
    set_order_state(repository, "inProgress")
    request_cancellation(repository)
    repository.writes_until_crash = writes
    try:
        PRODUCT_ORDER_CANCELLATION.assess(repository, repository.get("CancelProductOrder", "t1"))
    except RuntimeError:
        repository.writes_until_crash = None
        PRODUCT_ORDER_CANCELLATION.assess(repository, repository.get("CancelProductOrder", "t1"))
    assert repository.get("CancelProductOrder", "t1")["state"] == "done"
    assert repository.get("ProductOrder", "o1")["state"] == "cancelled"


def test_a_cancellation_is_refused_when_the_order_passes_the_point_of_no_return_meanwhile():
    repository = new_repository()
    place_order(repository, item("1"), item("2"))
    set_items(repository, **{"1": "inProgress"})()
    request_cancellation(repository)
    milestone = [{"name": rules.POINT_OF_NO_RETURN, "status": "Completed"}]
    repository.change(
        "ProductOrder", "o1", lambda order: {**order, "productOrderMilestone": milestone}
    )
    PRODUCT_ORDER_CANCELLATION.assess(repository, repository.get("CancelProductOrder", "t1"))
    task = repository.get("CancelProductOrder", "t1")
    assert task["state"] == "terminatedWithError"
    assert "point of no return" in task["errorMessage"]["message"]
    assert repository.get("ProductOrder", "o1")["state"] == "inProgress"
    assert PRODUCT_ORDER_CANCELLATION.refuse(repository, "t1", "again") == task
    assert PRODUCT_ORDER_CANCELLATION.confirm(repository, "t1") == task


def test_an_order_past_the_point_of_no_return_is_not_cancelled():
    repository = new_repository()
    place_order(repository)
    milestone = [{"name": rules.POINT_OF_NO_RETURN, "status": "Completed"}]
    repository.change(
        "ProductOrder",
        "o1",
        lambda order: {**order, "state": "inProgress", "productOrderMilestone": milestone},
    )
    with pytest.raises(Conflict, match="past the point of no return"):
        request_cancellation(repository)
    assert repository.get("ProductOrder", "o1")["state"] == "inProgress"


def test_a_finished_order_is_not_cancelled():
    repository = new_repository()
    place_order(repository)
    set_order_state(repository, "completed")
    with pytest.raises(IllegalTransition, match="none, the state is final"):
        request_cancellation(repository)


def test_a_second_cancellation_is_refused():
    repository = new_repository()
    place_order(repository)
    set_order_state(repository, "inProgress")
    request_cancellation(repository)
    with pytest.raises(Conflict, match="under way"):
        PRODUCT_ORDER_CANCELLATION.cancel(repository, {"productOrder": {"id": "o1"}})


def test_a_cancellation_without_an_existing_order_is_refused():
    with pytest.raises(NotFound):
        request_cancellation(new_repository())
    with pytest.raises(InvalidBody, match="/productOrder/id"):
        request_cancellation(new_repository(), productOrder={"name": "x"})


def test_a_task_loaded_by_the_server_keeps_its_date():
    loaded = {"creationDate": "2025-01-01T00:00:00.000Z"}
    assert product_orders.on_create_cancellation(loaded, request_context(system=True)) == loaded


# Offerings


def repository_with_offering(**more):
    repository = new_repository(flags={"check_references": True})
    repository.create(
        "ProductOffering", {"id": "fast", "name": "Fast", "lifecycleStatus": "Launched"}
    )
    repository.change("ProductOffering", "fast", lambda order: {**order, **more})
    return repository


def item_for(id, action="add"):
    return item(action=action, productOffering={"id": id})


def test_an_order_for_an_offering_on_sale_is_accepted():
    repository = repository_with_offering()
    assert place_order(repository, item_for("fast"))["state"] == "acknowledged"
    assert set_order_state(repository, "held")["state"] == "held"


def test_an_order_for_an_unknown_offering_is_refused_if_references_are_checked():
    with pytest.raises(InvalidBody, match=r"/productOrderItem/0/productOffering/id: .* slow"):
        place_order(repository_with_offering(), item_for("slow"))
    assert place_order(new_repository(), item_for("slow"))


def test_an_offering_not_on_sale_cannot_be_added_but_modified():
    with pytest.raises(Conflict, match="Retired"):
        place_order(repository_with_offering(lifecycleStatus="Retired"), item_for("fast"))
    assert place_order(
        repository_with_offering(lifecycleStatus="Retired"), item_for("fast", "modify")
    )


def test_an_offering_sold_in_bundles_only_cannot_be_added_alone():
    with pytest.raises(Conflict, match="isSellable"):
        place_order(repository_with_offering(isSellable=False), item_for("fast"))
    bundle = item("0", productOrderItem=[item_for("fast")])
    assert place_order(repository_with_offering(isSellable=False), bundle)
