"""Every way to an element obeys the access policy: nothing is sent to where it may not be."""

import json
from ipaddress import ip_network

import pytest

from adapters.credentials import Credentials
from adapters.errors import ElementError
from tests.support.fulfilment_harness import order_item
from tmf_apis.element_access.access_policy import AccessPolicy
from tmf_apis.element_access.connections import Connections
from tmf_apis.fault_management.element_registry import ElementRegistry
from tmf_apis.inventory.elements import managed_elements, target_of
from tmf_apis.reconciliation.auditor import Auditor
from tmf_apis.reconciliation.discovery import Discovery, known_candidates

CLOSED = AccessPolicy(allow_local=False, default_tenants=frozenset({"default"}))
ELSEWHERE = AccessPolicy(networks=(ip_network("198.18.0.0/24"),))
OTHER_TENANT = AccessPolicy(default_tenants=frozenset({"default"}))
POLICIES = {"loopback": CLOSED, "other network": ELSEWHERE, "other tenant": OTHER_TENANT}


class CountingGateway:
    """Counts the datagrams that a simulated gateway receives."""

    def __init__(self, gateway):
        self.count = 0
        self._receive = gateway.datagram_received
        gateway.datagram_received = self._count

    def _count(self, datagram, source):
        self.count += 1
        self._receive(datagram, source)


@pytest.fixture(params=POLICIES)
def policy(request):
    return POLICIES[request.param]


@pytest.fixture
def datagrams(operator):
    return CountingGateway(operator.gw)


def restrict(operator, policy):
    """Give the worker of the operator a policy."""
    operator.access_policy = policy
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("misconfigured",))


@pytest.fixture(autouse=True)
def unrestricted_afterwards(operator):
    yield
    operator.access_policy = AccessPolicy()
    operator.configure()


def test_an_order_waits_for_a_person_and_nothing_is_sent(
    operator, fibre_offering, policy, datagrams
):
    restrict(operator, policy)
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    order = operator.run_order(key)
    assert order["state"] == "pending", order
    (task,) = operator.open_fallout_tasks()
    assert (
        "not in the networks" in task["reason"]
        or "loopback" in task["reason"]
        or (f"for tenant {operator.tenant!r}" in task["reason"])
    )
    assert datagrams.count == 0
    operator.access_policy = AccessPolicy()
    operator.configure()
    operator.change_resource("FalloutTask", task["id"], decision="retry")
    assert operator.run_order(key)["state"] == "completed"
    assert datagrams.count > 0


def test_an_audit_sends_nothing(operator, policy, datagrams):
    restrict(operator, policy)
    auditor = Auditor(operator.repository, operator.connections)
    result = operator.run_async(auditor.run(managed_elements(operator.repository)))
    assert list(result.unreachable) == ["gw"]
    assert datagrams.count == 0


def test_a_discovery_of_known_elements_sends_nothing(operator, policy, datagrams):
    discovery = Discovery(operator.repository, Credentials(operator.credentials), policy=policy)
    result = operator.run_async(discovery.run(known_candidates(operator.repository)))
    assert [outcome.status for outcome in result.outcomes] == ["refused"]
    assert datagrams.count == 0


def test_counters_and_conditions_are_not_polled(operator, policy, datagrams):
    connections = Connections(Credentials(operator.credentials), policy=policy)
    (element,) = managed_elements(operator.repository)

    async def probe():
        async with connections.acquire(target_of(element, operator.tenant)) as adapter:
            await adapter.probe()

    with pytest.raises(ElementError):
        operator.run_async(probe())
    assert datagrams.count == 0


def test_notifications_are_not_trusted(operator, policy, datagrams):
    credentials = Credentials(operator.credentials)
    registry = ElementRegistry(operator.database, operator.repositories, credentials, policy)
    elements = {
        key: element
        for key, element in registry.read().items()
        if element.tenant == operator.tenant
    }
    registry.trust(elements)
    assert elements
    assert not registry._trusted_elements
    assert datagrams.count == 0


def test_an_element_that_a_party_has_created_is_not_an_element(operator, datagrams):
    element = operator.repository.find("Resource", {"name": "gw"})[0]["id"]
    key = {"_id": f"{operator.tenant}:{element}"}
    operator.database["Resource"].update_one(key, {"$set": {"owner": ["ada"]}})
    assert managed_elements(operator.repository) == []
    credentials = Credentials(operator.credentials)
    registry = ElementRegistry(operator.database, operator.repositories, credentials)
    assert not [each for each in registry.read().values() if each.tenant == operator.tenant]


def test_credentials_with_the_right_tenant_and_network_are_used(operator, datagrams):
    secrets = json.loads(operator.credentials.read_text())
    for secret in secrets.values():
        secret |= {"tenants": [operator.tenant], "networks": ["127.0.0.0/8"]}
    operator.credentials.write_text(json.dumps(secrets))
    restrict(operator, CLOSED)
    auditor = Auditor(operator.repository, operator.connections)
    result = operator.run_async(auditor.run(managed_elements(operator.repository)))
    assert result.elements == 1
    assert datagrams.count > 0
