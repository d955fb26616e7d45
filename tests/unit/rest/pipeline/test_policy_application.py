"""Policies applied to old and new resources, by pure functions and by a repository."""

import pytest

from tests.support.memory_repository import MemoryRepository, request_context
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.rest.pipeline.policy import Lifecycle, ResourcePolicy, has_changed
from tmf_apis.rest.pipeline.policy_application import (
    changed_resource,
    check_deletion,
    needs_after_commit,
    new_resource,
    owning_parties,
)
from tmf_apis.security.identity import EVERYONE

KIND = "Thing"
LIFECYCLE = Lifecycle(
    attribute="state",
    transitions={"open": frozenset({"closed"}), "closed": frozenset()},
    initial_states=("open",),
    system_transitions={"closed": frozenset({"open"})},
)
POLICY = ResourcePolicy(lifecycle=LIFECYCLE, server_owned=frozenset({"creationDate"}))
CLIENT, SYSTEM = request_context(), request_context(system=True)


def changed_thing(old, new, context=CLIENT, policy=POLICY):
    return changed_resource(policy, KIND, {"id": "1", **old}, {"id": "1", **new}, context)


def test_a_new_resource_has_its_initial_state_and_type():
    resource = new_resource(POLICY, KIND, {"id": "1"}, CLIENT)
    assert resource == {"id": "1", "state": "open", "@type": KIND}


def test_attributes_of_the_server_are_dropped_from_a_clients_create_only():
    sent = {"id": "1", "creationDate": "2026-01-01T00:00:00.000Z"}
    assert "creationDate" not in new_resource(POLICY, KIND, sent, CLIENT)
    assert new_resource(POLICY, KIND, sent, SYSTEM)["creationDate"] == sent["creationDate"]


def test_a_new_resource_does_not_share_the_dict_that_was_sent():
    sent = {"id": "1"}
    assert new_resource(POLICY, KIND, sent, SYSTEM) is not sent
    assert sent == {"id": "1"}


def test_a_transition_is_checked_for_clients_and_for_the_server():
    assert changed_thing({"state": "open"}, {"state": "closed"})["state"] == "closed"
    with pytest.raises(IllegalTransition):
        changed_thing({"state": "closed"}, {"state": "open"})
    assert changed_thing({"state": "closed"}, {"state": "open"}, SYSTEM)["state"] == "open"


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({"id": "2", "state": "open"}, "the id of a resource cannot change"),
        ({}, "/state: cannot be removed"),
        ({"state": "open", "creationDate": "now"}, "/creationDate: only the server"),
    ],
)
def test_a_client_cannot_change_attributes_of_the_server(new, message):
    with pytest.raises(InvalidBody, match=message):
        changed_thing({"state": "open"}, new)


def test_the_memory_repository_refuses_the_same_changes_as_the_writer():
    repository = MemoryRepository({KIND: POLICY})
    id = repository.create(KIND, {})["id"]
    with pytest.raises(InvalidBody, match="/state: cannot be removed"):
        repository.change(KIND, id, lambda old: {k: v for k, v in old.items() if k != "state"})
    with pytest.raises(InvalidBody, match="only the server"):
        repository.change(KIND, id, lambda old: {**old, "creationDate": "x"}, system=False)


def test_a_policy_may_refuse_a_deletion():
    def refuse(old, context):
        raise Conflict("cannot be deleted")

    check_deletion(POLICY, {"id": "1"}, CLIENT)
    with pytest.raises(Conflict, match="cannot be deleted"):
        check_deletion(ResourcePolicy(on_delete=refuse), {"id": "1"}, CLIENT)


def test_a_follow_up_is_needed_if_the_policy_has_one_for_the_change():
    policy = ResourcePolicy(after_commit=print, after_commit_if=has_changed("name"))
    assert needs_after_commit(policy, {"name": "a"}, {"name": "b"})
    assert not needs_after_commit(policy, {"name": "a"}, {"name": "a", "size": 1})
    assert not needs_after_commit(POLICY, None, {"name": "a"})


def test_a_client_cannot_give_a_resource_to_everybody():
    sent = {"relatedParty": [{"id": EVERYONE}, {"id": "42"}]}
    assert owning_parties(POLICY, sent) == ["42"]
    assert owning_parties(ResourcePolicy(parties=lambda _: (EVERYONE,)), sent) == [EVERYONE]
