"""Stored documents and workflow payloads: round trips and stable names."""

import dataclasses
import json
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.values import Intent, Plan, Step, Target, Transaction
from tmf_apis.background_tasks import TaskKey
from tmf_apis.element_cli.transaction_store import TransactionRecord
from tmf_apis.fulfilment.execution.journal import ItemEntry, TaskEntry
from tmf_apis.fulfilment.execution.payloads import (
    BatchProgress,
    BatchRef,
    Cancellation,
    IntakeResult,
)
from tmf_apis.fulfilment.values import (
    Allocation,
    ItemPlan,
    OrderKey,
    ProductPlan,
    ResourceRequirement,
    ServicePlan,
    Task,
)
from tmf_apis.inventory.resource_state import ResourceUsage
from tmf_apis.serialization import from_document, stored_names, to_document
from tmf_apis.temporal_payloads import DATA_CONVERTER

#: The members of every stored document and payload, in order. Databases and running workflows have
#: these names, so a line here changes with a migration only.
STORED = {
    Allocation: "task service action resources names before settings element target port holder"
    " product shared carrier head index values released inherited",
    BatchProgress: "open wait priority wake",
    BatchRef: "key number begun stop",
    Cancellation: "order task",
    Intent: "service_id port settings present force is_new port_index",
    IntakeResult: "batches reserved wait turn due priority wake begun queue report",
    ItemEntry: "id item unit state goal plan reason public_reason before by",
    ItemPlan: "item action change product services tasks parts",
    OrderKey: "tenant order kind",
    Plan: "element intent steps precondition",
    ProductPlan: "id name offering specification characteristics services status parent stale",
    ResourceRequirement: "slot specification category wanted named places amount carrier on"
    " optional",
    ResourceUsage: "service settings ordered amount",
    ServicePlan: "id name specification facing characteristics parts",
    Step: "port attribute before after",
    Target: "name address adapter credentials options tenant",
    Task: "id item action product cfs service specification settings needs derived after replaces",
    TaskEntry: "id unit task state goal taken plan transaction was attempts since again held reason"
    " cause fallout people doubt skipped forced by",
    TaskKey: "tenant kind id",
    Transaction: "element intent done token stored",
    TransactionRecord: "id at who target transaction state",
}

SCALARS = st.none() | st.booleans() | st.integers() | st.text()


def values(hint):
    """Return a strategy of the values of a type; those of ``Any`` are what JSON has."""
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{name: values(inner) for name, inner in hints.items()})
    if hint is Any:
        return SCALARS
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if origin in {Union, UnionType}:
        return st.one_of([values(inner) for inner in arguments])
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(values, arguments))
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is not None:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    return st.from_type(hint)


@pytest.mark.parametrize("type_", STORED, ids=lambda type_: type_.__name__)
def test_stored_names_are_stable(type_):
    assert " ".join(stored_names(type_).values()) == STORED[type_]


@pytest.mark.parametrize("type_", STORED, ids=lambda type_: type_.__name__)
def test_no_two_fields_have_the_same_stored_name(type_):
    names = list(stored_names(type_).values())
    assert len(set(names)) == len(names) == len(dataclasses.fields(type_))


@pytest.mark.parametrize("type_", STORED, ids=lambda type_: type_.__name__)
def test_a_stored_document_is_read_back(type_):
    @given(values(type_))
    def round_trip(value):
        document = to_document(value)
        assert set(document) == set(stored_names(type_).values())
        assert from_document(type_, json.loads(json.dumps(document))) == value

    round_trip()


@pytest.mark.parametrize("type_", STORED, ids=lambda type_: type_.__name__)
def test_a_payload_is_read_back(type_):
    @given(values(type_))
    def round_trip(value):
        converter = DATA_CONVERTER.payload_converter
        payloads = converter.to_payloads([value])
        assert converter.from_payloads(payloads, [type_]) == [value]

    round_trip()


def test_missing_members_have_defaults_and_unknown_members_are_ignored():
    document = {"service": "s-1", "ordered": "o-1/1#1", "of_another_release": True}
    assert from_document(ResourceUsage, document) == ResourceUsage("s-1", ordered_by="o-1/1#1")


def test_a_missing_member_without_a_default_is_an_error():
    with pytest.raises(KeyError):
        from_document(OrderKey, {"tenant": "default"})


def test_a_payload_has_the_stored_names():
    (payload,) = DATA_CONVERTER.payload_converter.to_payloads(
        [IntakeResult(batches=1, start_in=2.0, progress=BatchProgress(incomplete=True))]
    )
    content = json.loads(payload.data)
    assert content["wait"] == 2.0
    assert content["report"] == {"open": True, "wait": 0.0, "priority": 0, "wake": []}
