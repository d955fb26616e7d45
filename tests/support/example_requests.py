"""Requests for each operation of a contract, with ids and bodies of the demo operator.

A body of a create or a listener is derived from a resource of the demo operator, in the version of
the contract. ``contract_examples`` sends the requests and stores them with their answers.
"""

import uuid
from dataclasses import dataclass, field, replace

from tests.support.body_factory import COMPONENTS, BodyFactory
from tests.support.contract_collections import BACKGROUND_TASKS
from tmf_apis.demo.examples import copy_id
from tmf_apis.demo.subscriptions import subscription_id
from tmf_apis.rest.contracts.served_document import bulk_operations
from tmf_apis.rest.http.monitors import monitor_operation

#: The resource of each kind that is read, changed and used as a template; of some, by schema.
SOURCES = {
    "ProductCatalog": "catalogue-business",
    "Category": "category-business-access",
    "ProductSpecification": "specification-business-fibre",
    "ProductOfferingPrice": "price-business-fibre-100-monthly",
    "ProductOffering": "offering-business-fibre-100",
    "ServiceCatalog": "catalogue-services",
    "ServiceCategory": "service-category-access",
    "ServiceCandidate": "candidate-internet-access",
    "ServiceSpecification": "service-internet-access",
    "ResourceCatalog": "catalogue-network",
    "ResourceCategory": "resource-category-equipment",
    "ResourceCandidate": "candidate-accessPort",
    "ResourceSpecification": "specification-accessPort",
    "ProductOrder": "order-0488",
    "CancelProductOrder": "cancel-order-0486",
    "Customer": "customer-0001",
    "Product": "order-0002-1",
    "Service": "order-0002-1-cfs",
    "Resource": "site-01-olt",
    "PhysicalResource": "site-01-olt",
    "LogicalResource": "site-01-vlan-101",
    "BillCycle": "cycle-consumer",
    "AppliedCustomerBillingRate": "rate-order-0002-1-2-recur",
    "CustomerBill": "bill-0006-2",
    "CustomerBillOnDemand": "bill-on-demand-1",
    "Alarm": "alarm-0001",
    "ServiceOrder": "service-order-1",
    "CancelServiceOrder": "cancel-service-order-3",
    "CheckServiceQualification": "check-qualification-1",
    "QueryServiceQualification": "query-qualification-1",
    "NetworkDiscovery": "discovery-1",
    "NetworkAudit": "audit-1",
    "ResolveDifference": "resolve-1",
    "CapacityReport": "capacity-1",
    "FalloutTask": "fallout-1",
}
#: The resource whose copies are deleted, where it is not the ``SOURCES`` of the kind.
COPIED = {
    "ProductCatalog": "catalogue-home",
    "Category": "category-broadband",
    "ProductSpecification": "specification-fibre",
    "ProductOfferingPrice": "price-fibre-100-monthly",
    "ProductOffering": "offering-fibre-100",
    "ResourceCandidate": "candidate-site",
    "ResourceSpecification": "specification-site",
    "ProductOrder": "order-0001",
    "Product": "order-0001-1",
    "Service": "order-0001-1-cfs",
    "ServiceOrder": "service-order-3",
    "LogicalResource": "site-01-pool",
}
#: Attributes that replace those of the template, by kind and version.
CHANGES = {
    ("CancelProductOrder", "v4"): {"productOrder": {"id": "order-0483"}},
    ("CancelProductOrder", "v5"): {
        "productOrder": {"@type": "ProductOrderRef", "id": "order-0484"}
    },
    ("CancelServiceOrder", "v4"): {"serviceOrder": {"id": "service-order-2"}},
    ("CapacityReport", "v5"): {"place": ["site-01"]},
    **{
        (f"{api}{task}Job", version): {
            "url": f"file:{api.lower() or 'product'}-categories.ndjson",
            "path": f"/{api.lower()}Category" if api else "/category",
        }
        for api in ("", "Service", "Resource")
        for task in ("Import", "Export")
        for version in ("v4", "v5")
    },
}
#: The members of a merge patch, by kind, where it is not the description.
PATCHES = {
    "Alarm": {"alarmDetails": "The cable to the gateway is cut; an engineer is on the way."},
    "Customer": {"statusReason": "in good standing, confirmed by telephone"},
    "CustomerBill": {"state": "sent"},
    "FalloutTask": {"decision": "skip", "decisionReason": "The element has been replaced"},
    "Product": {"description": "Fibre access of the ground floor"},
}
PATCH_TYPES = ("application/json-patch+json", "application/json-patch-query+json")
#: The orders that the two requests of a bulk change cancel, by kind and version.
CANCELLED_IN_BULK = {
    ("CancelProductOrder", "v4"): ("order-0490", "order-0491"),
    ("CancelProductOrder", "v5"): ("order-0493", "order-0487"),
    ("CancelServiceOrder", "v4"): ("service-order-4", "service-order-5"),
}
DESCRIPTION = {"description": "Description that the product manager has corrected"}
CALLBACK = "http://127.0.0.1:9000/events"
#: Attributes of templates that only the server sets.
SERVER_ATTRIBUTES = {"id", "href", "lastUpdate", "creationDate", "orderDate", "completionDate"}


def served_operations(contract):
    """Return the operations of a contract, and those that the server adds."""
    bulk = [
        replace(
            each,
            operation_id=f"bulkPatch{each.resource[0].upper()}{each.resource[1:]}",
            method="patch",
            action="bulk",
        )
        for each in bulk_operations(contract)
    ]
    monitors = [
        replace(monitor_operation(contract.number), action="monitor", kind=each.kind)
        for each in contract.operations
        if each.action == "create"
        and each.kind in BACKGROUND_TASKS
        and contract.number != "NETWORK"
    ]
    return [*contract.operations, *bulk, *monitors[:1]]


@dataclass(frozen=True)
class Request:
    """A request of an operation: path parameters, and its body by media type."""

    parameters: dict = field(default_factory=dict)
    bodies: dict = field(default_factory=dict)


class ExampleRequests:
    """The requests of one contract."""

    def __init__(self, contract, client):
        """Create the requests with the resources of a running demo operator."""
        self._contract = contract
        self._client = client
        self._bodies = BodyFactory(contract)

    def request(self, operation):
        """Return the request of an operation."""
        return getattr(self, f"_{operation.action}")(operation)

    def _list(self, _):
        return Request({"limit": 2})

    def _retrieve(self, operation):
        return Request({"id": self._source(operation)})

    def _delete(self, operation):
        kind = operation.schema if operation.schema in COPIED else operation.kind
        id = COPIED.get(kind) or self._source(operation)
        is_general = self._contract.version == "v4" and operation.schema == "Resource"
        more = "resource" if is_general else ""
        return Request({"id": copy_id(id, self._contract.version, more)})

    def _patch(self, operation):
        changes = PATCHES.get(operation.kind, DESCRIPTION)
        operations = [{"op": "add", "path": f"/{k}", "value": v} for k, v in changes.items()]
        queries = [{**each, "path": f"$.{each['path'][1:]}"} for each in operations]
        return Request(
            {"id": self._source(operation)},
            {
                "application/merge-patch+json": changes,
                "application/json": changes,
                "application/json-patch+json": operations,
                "application/json-patch-query+json": queries,
            },
        )

    def _bulk(self, operation):
        others = [o for o in self._contract.operations if o.resource == operation.resource]
        creates = [each for each in others if each.action == "create"]
        if creates:
            (body,) = self._create(creates[0]).bodies.values()
            added = [{"op": "add", "path": "/-", "value": body}]
            orders = CANCELLED_IN_BULK.get((operation.kind, self._contract.version))
            if orders:
                return Request({}, dict(zip(PATCH_TYPES, with_orders(added, orders), strict=True)))
            operations = added
        else:
            id = self._source(operation)
            operations = [
                {"op": "add", "path": f"/{id}/{name}", "value": value}
                for name, value in PATCHES[operation.kind].items()
            ]
        return Request({}, dict.fromkeys(PATCH_TYPES, operations))

    def _monitor(self, operation):
        return Request({"id": f"{operation.kind}-{self._source(operation)}"})

    def _replace(self, operation):
        body = self._template(operation, operation.body_schema)
        return Request({"id": self._source(operation)}, {"application/json": body})

    def _create(self, operation):
        body = self._template(operation, operation.body_schema)
        required = self._schema(operation.body_schema)["required"]
        changed = {o.resource for o in self._contract.operations if o.action == "patch"}
        left_out = SERVER_ATTRIBUTES | (
            set() if operation.resource in changed else {"state", "status"}
        )
        body = {k: v for k, v in body.items() if k in required or k not in left_out}
        body |= CHANGES.get((operation.kind, self._contract.version), {})
        return Request({}, {"application/json": body})

    def _schema(self, name):
        return self._bodies.merged_schema({"$ref": COMPONENTS + name})

    def _subscribe(self, _):
        body = {"callback": CALLBACK, "query": f"eventType={self._event_type()}"}
        if self._contract.version == "v5":
            body = {"@type": "Hub", **body}
        return Request({}, {"application/json": body})

    def _subscriptions(self, _):
        return Request()

    def _subscription(self, _):
        return Request({"id": self._subscription_id("1")})

    def _unsubscribe(self, _):
        return Request({"id": self._subscription_id("2")})

    def _subscription_id(self, number):
        return subscription_id(self._contract.number, self._contract.version, number)

    def _listen(self, operation):
        body = self._bodies.minimal(operation.body_schema)
        schema = self._schema(operation.body_schema)
        name = f"{self._contract.number} {self._contract.version} {operation.event_type}"
        known = {
            "@type": operation.event_type,
            "eventId": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "eventTime": "2026-01-05T10:00:00.000Z",
            "eventType": operation.event_type,
        }
        known = {key: value for key, value in known.items() if key in schema["properties"]}
        return Request({}, {"application/json": {**body, **known, **self._payload(schema)}})

    def _payload(self, schema):
        """Return the payload of an event: what identifies the resource, and its plain values."""
        event = self._bodies.merged_schema(schema["properties"]["event"])
        if "oneOf" in event or not event["properties"]:
            return {}
        (name, node), *_ = event["properties"].items()
        schema = self._schema_name(node)
        resource = self._read(schema)
        if resource is None:
            return {}
        required = self._schema(schema)["required"]
        return {"event": {name: summary(resource, required)}}

    def _schema_name(self, node):
        while "allOf" in node and len(node["allOf"]) == 1 and "properties" not in node:
            node = node["allOf"][0]
        return node.get("$ref", "").rpartition("/")[2]

    def _read(self, schema):
        for each in self._contract.operations:
            if each.action == "retrieve" and each.schema == schema:
                return self._get(each)
        return None

    def _source(self, operation):
        kind = operation.kind.removeprefix("Service").removeprefix("Resource")
        first = f"{kind.lower()}-1"
        return SOURCES.get(operation.schema) or SOURCES.get(operation.kind) or first

    def _get(self, operation):
        path = f"{self._contract.base_path}/{operation.resource}/{self._source(operation)}"
        response = self._client.get(path)
        assert response.status_code == 200, f"{path}: {response.text}"
        return response.json()

    def _template(self, operation, schema):
        """Return the source of a create with the attributes of the create schema."""
        properties = self._schema(schema)["properties"]
        resource = {k: v for k, v in self._get(operation).items() if k in properties}
        needs_links = (self._contract.number, self._contract.version) == ("TMF639", "v4")
        return resource if needs_links else without_href(resource)

    def _event_type(self):
        types = [each.event_type for each in self._contract.operations if each.event_type]
        hub = self._contract.document["paths"]["/hub"]["post"]
        return (types or hub["x-events"])[0]


def without_href(value):
    """Return a value without the links of its references."""
    if isinstance(value, dict):
        return {k: without_href(v) for k, v in value.items() if k != "href"}
    return [without_href(v) for v in value] if isinstance(value, list) else value


def summary(resource, required):
    """Return the plain values of a resource, and the attributes that its schema requires."""
    return {
        name: value
        for name, value in resource.items()
        if name in required or not isinstance(value, (dict, list))
    }


def with_orders(operations, orders):
    """Yield the operations for each order, which they cancel instead of another one."""
    for id in orders:
        yield [{**each, "value": with_order(each["value"], id)} for each in operations]


def with_order(task, id):
    """Return a cancellation of the order with an id."""
    (name,) = (name for name in ("productOrder", "serviceOrder") if name in task)
    return {**task, name: {**task[name], "id": id}}
