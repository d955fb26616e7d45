"""Checks that the inventories, the orders and the network agree."""

from tmf_apis.inventory.characteristics import resource_characteristics, values_by_name
from tmf_apis.inventory.elements import target_of
from tmf_apis.inventory.ports import element_id_of, external_id, holder_of, service_of
from tmf_apis.inventory.resource_state import PRODUCT_IDENTIFIER
from tmf_apis.ordering.items import PRODUCT_ORDER_ITEMS, SERVICE_ORDER_ITEMS


def check_consistency(harness, *, idle=True):
    """Assert that products, services, resources, orders and elements of a tenant agree.

    Args:
        harness: Has a ``repository`` of the tenant, and its simulated ``gateways`` by name.
        idle: Also assert that no reservation is left, and compare the gateways.
    """
    state = _InventoryState(harness)
    _check_product_orders(harness, state)
    _check_products(state)
    _check_service_orders(harness, state)
    _check_services(state)
    _check_allocated_values(state)
    if idle:
        reserved = [each["name"] for each in state.resources.values() if holder_of(each)]
        assert not reserved, f"still reserved: {reserved}"
        for name, gateway in harness.gateways.items():
            _check_gateway(state, name, gateway)


class _InventoryState:
    """All products, services and resources of a tenant by id, and resources by their service."""

    def __init__(self, harness):
        self.products = self._by_id(harness, "Product")
        self.services = self._by_id(harness, "Service")
        self.resources = self._by_id(harness, "Resource")
        self.resources_by_service = {
            service_of(resource): resource
            for resource in self.resources.values()
            if service_of(resource)
        }

    @staticmethod
    def _by_id(harness, kind):
        resources = harness.repository.find(kind, {}, limit=5000)
        return {resource["id"]: resource for resource in resources}

    def pools(self):
        """Return the characteristics of the pools."""
        pools = (each for each in self.resources.values() if each.get("category") == "pool")
        return [resource_characteristics(pool) for pool in pools]

    def values_of(self, product, category):
        """Return the values of a category that a product has in use."""
        return [
            str(resource.get("value") or resource["name"])
            for resource in self.resources.values()
            if resource.get("category") == category
            and service_of(resource)
            and external_id(resource, PRODUCT_IDENTIFIER) == product
        ]

    def service_states(self, references):
        """Return the states of the referenced services that exist."""
        ids = [reference["id"] for reference in references]
        return {self.services[id]["state"] for id in ids if id in self.services}


def _check_product_orders(harness, state):
    for order in harness.repository.find("ProductOrder", {}, limit=5000):
        for _, item in PRODUCT_ORDER_ITEMS.items_with_pointers(order):
            status = (item.get("product") or {}).get("status", "").strip()
            product = state.products.get((item.get("product") or {}).get("id", ""))
            if not status or not product or order["state"] == "failed":
                continue
            if _is_last_order(order, item, product):
                assert product["status"] == status, (order["id"], item, product)


def _check_products(state):
    for id, product in state.products.items():
        references = product.get("realizingService", ())
        expected_states = {
            "active": {"active"},
            "suspended": {"inactive"},
            "pendingActive": {"reserved"},
            "pendingTerminate": {"active", "inactive"},
        }.get(product["status"], {"terminated"})
        states = state.service_states(references)
        assert states <= expected_states, (id, product["status"], states)
        if product["status"] in {"active", "suspended"}:
            service_ids = [reference["id"] for reference in references]
            for resource in product.get("realizingResource", ()):
                assert service_of(state.resources[resource["id"]]) in service_ids, (id, resource)


def _check_service_orders(harness, state):
    for order in harness.repository.find("ServiceOrder", {}, limit=5000):
        for _, item in SERVICE_ORDER_ITEMS.items_with_pointers(order):
            service = state.services.get((item.get("service") or {}).get("id", ""))
            if service is None or order["state"] == "failed":
                continue
            last = service["serviceOrderItem"][-1]
            if (last["serviceOrderId"], last["itemId"]) == (order["id"], item["id"]):
                assert service["state"] == item["service"]["state"], (order, service)


def _check_services(state):
    for id, service in state.services.items():
        if "serviceOrderItem" in service:
            _check_ordered_service(state, id, service)
        if service.get("category") == "RFS" and service["state"] in {"active", "inactive"}:
            assert id in state.resources_by_service, f"service {id} has no resource"
    for id, resource in state.resources_by_service.items():
        assert state.services[id]["state"] in {"active", "inactive"}, (id, resource["name"])


def _check_ordered_service(state, id, service):
    assert not service.get("relatedEntity"), service
    references = service.get("supportingService", ())
    supporting_states = {state.services[each["id"]]["state"] for each in references}
    assert supporting_states <= {service["state"]}, (id, service["state"], supporting_states)
    if service["state"] == "terminated":
        return
    ids = {id, *(reference["id"] for reference in references)}
    for resource in service.get("supportingResource", ()):
        assert service_of(state.resources[resource["id"]]) in ids, (id, resource)


def _check_allocated_values(state):
    """Every resource of a service is a characteristic of the service, its parents and product."""
    for id, resource in state.resources_by_service.items():
        product = state.products.get(external_id(resource, PRODUCT_IDENTIFIER), {})
        holders = [(product, "productCharacteristic")] if product else []
        holders += [
            (service, "serviceCharacteristic")
            for service in state.services.values()
            if id in {service["id"], *(each["id"] for each in service.get("supportingService", ()))}
            and service["state"] in {"active", "inactive"}
        ]
        value = resource.get("value") or resource["name"]
        for holder, attribute in holders:
            present = values_by_name(holder.get(attribute)).get(resource["category"])
            values = present if isinstance(present, list) else [present]
            assert value in map(str, values), (holder["id"], resource["category"], value, present)
    for category in {each["poolOf"] for each in state.pools()}:
        for product in state.products.values():
            if product["status"] in {"active", "suspended"}:
                present = values_by_name(product.get("productCharacteristic")).get(category)
                own = state.values_of(product["id"], category)
                values = present if isinstance(present, list) else [present] if present else []
                assert sorted(map(str, values)) == sorted(own), (product["id"], category)


def _check_gateway(state, name, gateway):
    for port in gateway.ports.values():
        resource = _resource_of_port(state, name, port) if port.access else None
        if resource is None or resource.get("unknownStatus"):
            continue
        assert port.tag == service_of(resource), (name, port, resource)
        if service := state.services.get(port.tag):
            settings = {each["name"]: each["value"] for each in service["serviceCharacteristic"]}
            assert port.downstream_kbps * 1000 == settings["downstream"], (port, settings)
            assert port.enabled == (service["state"] == "active"), (port, service)


def _resource_of_port(state, gateway, port):
    for resource in state.resources.values():
        is_port = resource_characteristics(resource).get("portName") == port.name
        element = element_id_of(resource)
        if is_port and element and target_of(state.resources[element], "").name == gateway:
            return resource
    return None


def _is_last_order(order, item, product):
    last = (product.get("productOrderItem") or [{}])[-1]
    return (last.get("productOrderId"), last.get("orderItemId")) == (order["id"], item["id"])
