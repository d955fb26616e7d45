"""The collections of the contracts, and checks of responses against the contracts."""

from dataclasses import dataclass
from functools import cache

from tests.support.body_factory import BodyFactory
from tests.support.paths import OPENAPI, ROOT
from tmf_apis.rest.contracts.contract import Contract, Operation, load_contracts
from tmf_apis.rest.contracts.documents import resolve_reference
from tmf_apis.rest.contracts.schemas import Schemas

CONTRACTS = load_contracts(OPENAPI, ROOT / ".pytest_cache" / "contracts")
#: Alarm tasks, and the attributes that refer to alarms.
ALARM_TASKS = {
    **dict.fromkeys(("AckAlarm", "UnAckAlarm", "ClearAlarm", "CommentAlarm"), ("alarmPattern",)),
    **dict.fromkeys(("GroupAlarm", "UnGroupAlarm"), ("parentAlarm", "correlatedAlarm")),
}
#: Tasks that the worker starts at once.
BACKGROUND_TASKS = {
    *("ImportJob", "ExportJob", "ServiceImportJob", "ServiceExportJob"),
    *("ResourceImportJob", "ResourceExportJob"),
    *("NetworkDiscovery", "NetworkAudit", "ResolveDifference", "CustomerBillOnDemand"),
}
#: Kinds that behave like another kind in the tests of all collections.
EQUIVALENT_KINDS = {
    *("ServiceCatalog", "ServiceCandidate", "ServiceExportJob", "QueryServiceQualification"),
    *("ResourceCatalog", "ResourceCategory", "ResourceCandidate"),
    *("ResourceImportJob", "ResourceExportJob"),
}


@dataclass(frozen=True)
class Collection:
    """A collection of a contract.

    Attributes:
        contract: The contract.
        resource: The path segment.
        operations: Its operations by action.
    """

    contract: Contract
    resource: str
    operations: dict[str, Operation]

    def __str__(self):
        return f"{self.contract.number}-{self.contract.version}-{self.resource}"

    @property
    def path(self):
        """The path of the collection."""
        return f"{self.contract.base_path}/{self.resource}"

    @property
    def is_v5(self):
        """True in version 5."""
        return self.contract.version == "v5"

    @property
    def kind(self):
        """The stored kind."""
        return self.operations["list"].kind

    @property
    def schema(self):
        """The schema of the resources."""
        return self.operations["list"].schema

    def body(self, client, *, full=False):
        """Return a valid body of a POST; create the resources that it refers to."""
        schema = self.operations["create"].body_schema
        bodies = BodyFactory(self.contract)
        body = bodies.full(schema) if full else bodies.minimal(schema)
        if self.kind == "Alarm":
            body["state"] = "raised"
        return body | self._references(client)

    def _references(self, client):
        typed = {"@type": "ProductOrderRef"} if self.is_v5 else {}
        if self.kind == "CancelProductOrder":
            order = collection_of(self.contract, "productOrder").create(client).json()
            return {"productOrder": {"id": order["id"], **typed}}
        if self.kind == "CancelServiceOrder":
            orders = collection_of(self.contract, "serviceOrder")
            body = orders.body(client)
            del body["serviceOrderItem"][0]["service"]["id"]  # a service to be added has none
            order = orders.create(client, body).json()
            return {"serviceOrder": {"id": order["id"]}}
        if self.kind == "ResolveDifference":
            audit = collection_of(self.contract, "networkAudit").create(client).json()
            return {"audit": {"id": audit["id"], "@type": "EntityRef"}}
        if self.kind in ALARM_TASKS:
            alarms = collection_of(self.contract, "alarm")
            typed = {"@type": "AlarmRef"} if self.is_v5 else {}
            first, second = ({"id": alarms.create(client).json()["id"], **typed} for _ in range(2))
            if self.kind in {"GroupAlarm", "UnGroupAlarm"}:
                return {"parentAlarm": first, "correlatedAlarm": [second]}
            pattern = {"@type": "Alarm"} if self.is_v5 else {}
            return {"alarmPattern": [{**pattern, "id": first["id"]}]}
        return {}

    def create(self, client, body=None, *, full=False, **changes):
        """Create a resource and return the response."""
        body = self.body(client, full=full) if body is None else body
        response = client.post(self.path, json={**body, **changes})
        assert response.status_code == 201, f"{response.text} for {body}"
        return response

    def check_response(self, action, response, *, types_only=False):
        """Check a response against the contract: status, media type and schema."""
        check_response(self.contract, self.operations[action], response, types_only=types_only)


def check_response(contract, operation, response, *, types_only=False):
    """Check a response against the contract: status, media type and schema.

    ``types_only`` allows required attributes to be missing, except the types of nested objects: a
    resource that was written through the other version lacks attributes that only this version
    requires.
    """
    responses = contract.document["paths"][operation.path][operation.method]["responses"]
    assert str(response.status_code) in responses, f"{response.status_code} is not declared"
    declared = resolve_reference(contract.document, responses[str(response.status_code)])
    if "content" not in declared:
        assert not response.content, response.text
        return
    assert response.headers["content-type"] == "application/json"
    schema = declared["content"]["application/json"]["schema"]
    is_list = schema.get("type") == "array"
    name = (schema["items"] if is_list else schema)["$ref"].rpartition("/")[2]
    for resource in response.json() if is_list else [response.json()]:
        problems = [
            f"{list(error.instance_path)}: {error.message}"
            for error in validators(contract).validator(name).iter_errors(resource)
            if not types_only
            or " is a required property" not in error.message
            or error.message.startswith('"@type"')
        ]
        assert not problems, f"{problems[:5]} in {resource}"


@cache
def _validators(number, version):
    contract = next(c for c in CONTRACTS if (c.number, c.version) == (number, version))
    return Schemas(contract.document, version)


def validators(contract):
    """Return the validators of a contract."""
    return _validators(contract.number, contract.version)


def all_collections():
    """Return every collection of every contract."""
    collections = {}
    for contract in CONTRACTS:
        for operation in contract.operations:
            if operation.kind:
                key = (contract.number, contract.version, operation.resource)
                new = Collection(contract, operation.resource, {})
                collections.setdefault(key, new).operations[operation.action] = operation
    return list(collections.values())


COLLECTIONS = all_collections()


def collection_of(contract, resource):
    """Return a collection of a contract."""
    return next(c for c in COLLECTIONS if c.contract is contract and c.resource == resource)


def collections_with(*actions):
    """Return the collections that have the actions, without those of ``EQUIVALENT_KINDS``."""
    return [
        c
        for c in COLLECTIONS
        if set(actions) <= set(c.operations) and c.kind not in EQUIVALENT_KINDS
    ]
