"""Attributes that only the other version has never take the place of something else."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.contract_collections import COLLECTIONS
from tests.support.document_strategies import ContractStrategies, few_examples
from tmf_apis.rest.query.displaced_attributes import displaced_attributes
from tmf_apis.rest.query.list_query import ListQueryCompiler
from tmf_apis.rest.query.unknown_attributes import unknown_attributes
from tmf_apis.rest.views import alarms, billing, catalog, customer, inventory, ordering
from tmf_apis.rest.views.kind_names import KIND_NAMES, subtypes_of
from tmf_apis.rest.views.transforms import NestedViews
from tmf_apis.rest.views.versions import from_stored, to_stored
from tmf_apis.settings import Settings

TABLES = [module.VIEWS for module in (alarms, billing, catalog, customer, inventory, ordering)]
CREATES = [
    c
    for c in COLLECTIONS
    if "create" in c.operations and c.kind in KIND_NAMES and not subtypes_of(c.kind, c.schema)
]


def foreign_names(kind):
    """Return the names that the views of a kind's API move."""
    table = next((table for table in TABLES if kind in table), {})
    steps = [step for view in table.values() for step in view]
    moving = [step for step in steps if not isinstance(step, NestedViews)]
    return sorted({name for step in moving for name in step.affected_members} - {"@type"})


def objects(value, node, steps=()):
    """Yield the steps to the objects of a body that the contract describes, and their nodes."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from objects(item, node, (*steps, index))
    elif isinstance(value, dict) and node is not None:
        yield steps, node
        for name, member in value.items():
            yield from objects(member, node.child(name), (*steps, name))


def leaves(value, path=()):
    """Yield the path and the value of every scalar."""
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for step, member in members:
            yield from leaves(member, (*path, step))
    elif path[-1] != "@type":
        yield path, value


def other_form(kind, version, body):
    stored = to_stored(kind, version, body)
    return from_stored(kind, "v5" if version == "v4" else "v4", stored)


@pytest.mark.parametrize("collection", CREATES, ids=str)
@few_examples
@given(data=st.data())
def test_an_attribute_is_refused_or_has_its_name_in_both_versions(collection, data):
    kind, contract = collection.kind, collection.contract
    if not (names := foreign_names(kind)):
        return
    operation = collection.operations["create"]
    node = ListQueryCompiler(contract, Settings()).body_node(operation)
    schema = operation.body_schema or operation.schema
    body = data.draw(ContractStrategies(contract.number, contract.version).documents(schema))
    steps, place = data.draw(st.sampled_from(list(objects(body, node))))
    unknown_names = [name for name in names if name not in place.names]
    if not unknown_names:
        return
    name = data.draw(st.sampled_from(unknown_names))
    inner = st.dictionaries(st.sampled_from([*names, "colour"]), st.just("leaf"), max_size=2)
    value = data.draw(st.just("leaf") | inner)
    changed = copy.deepcopy(body)
    target = changed
    for step in steps:
        target = target[step]
    target[name] = value
    unknown = unknown_attributes(changed, node)
    if displaced_attributes(kind, contract.version, changed, node, unknown):
        return
    before = dict(leaves(other_form(kind, contract.version, body)))
    after = dict(leaves(other_form(kind, contract.version, changed)))
    assert before.items() <= after.items()
    for path, leaf in leaves(value, (name,)):
        assert any(shown[-len(path) :] == path and after[shown] == leaf for shown in after)


@pytest.mark.parametrize("collection", CREATES, ids=str)
@few_examples
@given(data=st.data())
def test_a_body_of_the_contract_has_no_displaced_attribute(collection, data):
    kind, contract = collection.kind, collection.contract
    operation = collection.operations["create"]
    node = ListQueryCompiler(contract, Settings()).body_node(operation)
    schema = operation.body_schema or operation.schema
    body = data.draw(ContractStrategies(contract.number, contract.version).documents(schema))
    assert displaced_attributes(kind, contract.version, body, node, []) == {}
