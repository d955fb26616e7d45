"""Owners of a resource: a party makes only itself one, and takes a resource from nobody."""

import pytest

from tests.support.policies import all_policies, policy_of
from tmf_apis.errors import Forbidden
from tmf_apis.rest.pipeline.owners import OwnerRoles
from tmf_apis.rest.pipeline.party_ownership import check_kept_owners, check_owners
from tmf_apis.rest.pipeline.policy import ResourcePolicy
from tmf_apis.rest.pipeline.policy_application import owning_parties

ROLES = OwnerRoles()


def party(id, role="customer"):
    return {"role": role, "partyOrPartyRole": {"id": id}}


def test_a_party_names_itself_in_any_role_and_others_in_roles_that_do_not_own():
    new = {"relatedParty": [party("me"), party("b", "installer"), {"id": "c", "role": "Seller"}]}
    check_owners(None, new, {"me"}, ROLES)


@pytest.mark.parametrize(
    "new",
    [
        {"relatedParty": [party("b")]},
        {"relatedParty": [{"id": "b"}]},
        {"relatedParty": {"id": "b", "role": "BUYER"}},
        {"relatedParty": [{"id": "me", "partyOrPartyRole": {"id": "b"}}]},
        {"relatedParty": [{"id": "me", "partyId": "b"}]},
        {"engagedParty": {"id": "b"}},
        {"item": [{"product": {"relatedParty": [party("b", "end user")]}}]},
        {"relatedParty": [{**party("me"), "deep": {"relatedParty": [party("b")]}}]},
        {"relatedParty": [{"partyOrPartyRole": {"id": "me", "engagedParty": {"id": "b"}}}]},
    ],
)
def test_a_party_cannot_put_a_resource_into_the_view_of_others(new):
    with pytest.raises(Forbidden, match="only the operator names another party"):
        check_owners(None, new, {"me"}, ROLES)


def test_the_owners_that_staff_has_named_may_stay():
    old = {"relatedParty": [party("me"), party("b")]}
    check_owners(old, {**old, "relatedParty": old["relatedParty"][::-1]}, {"me"}, ROLES)
    with pytest.raises(Forbidden):
        check_owners(old, {"relatedParty": [*old["relatedParty"], party("c")]}, {"me"}, ROLES)


def test_a_role_that_does_not_own_cannot_be_turned_into_one_that_does():
    old = {"relatedParty": [party("b", "installer")]}
    with pytest.raises(Forbidden):
        check_owners(old, {"relatedParty": [party("b", "owner")]}, {"me"}, ROLES)


def test_nobody_loses_a_resource():
    check_kept_owners(["a", "b"], ["a", "b", "c"])
    with pytest.raises(Forbidden, match="removes a party"):
        check_kept_owners(["a", "b"], ["a"])


def test_only_owning_roles_own():
    related = [party("a"), party("b", "installer"), {"id": "c"}, {"id": "d", "role": "End-User"}]
    resource = {"relatedParty": related}
    assert owning_parties(ResourcePolicy(), resource, ROLES) == ["a", "c", "d"]
    assert owning_parties(ResourcePolicy(), resource, OwnerRoles(["Installer"])) == ["b", "c"]


def test_only_owning_roles_own_the_items_of_an_order():
    related = [party("a"), party("b", "installer")]
    item = {"relatedParty": related, "productOrderItem": [{"relatedParty": related}]}
    assert owning_parties(policy_of("ProductOrder"), {"productOrderItem": [item]}, ROLES) == ["a"]
    service_item = {"service": {"relatedParty": related}}
    order = {"serviceOrderItem": [service_item]}
    assert owning_parties(policy_of("ServiceOrder"), order, ROLES) == ["a"]


@pytest.mark.parametrize("kind", sorted(all_policies()))
def test_no_policy_takes_an_owner_from_an_undeclared_attribute(kind):
    policy = policy_of(kind)
    nested = {"relatedParty": [party("b", "installer")]}
    names = {"item", "service", "product", "resource", *policy.party_holders}
    resource = {name: [nested] for name in names} | {"id": "x"}
    assert "b" not in owning_parties(policy, resource, ROLES)
