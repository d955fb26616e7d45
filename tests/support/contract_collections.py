"""The collections of the contracts, as tests go through them, and answers held to them."""

from dataclasses import dataclass
from functools import cache

from tests.support.body_factory import BodyFactory
from tests.support.server import ROOT
from tmf_apis.app import CONTRACTS_DIR as FOLDER
from tmf_apis.rest.contracts.contract import Contract, Operation, load_contracts
from tmf_apis.rest.contracts.documents import resolve_reference
from tmf_apis.rest.contracts.schemas import Schemas

CONTRACTS = load_contracts(FOLDER, ROOT / ".pytest_cache" / "contracts")
#: Tasks on alarms, and the attributes of each that name alarms.
ALARM_TASKS = {
    **dict.fromkeys(("AckAlarm", "UnAckAlarm", "ClearAlarm", "CommentAlarm"), ("alarmPattern",)),
    **dict.fromkeys(("GroupAlarm", "UnGroupAlarm"), ("parentAlarm", "correlatedAlarm")),
}
#: Tasks that the worker begins to work on at once.
BACKGROUND_TASKS = {
    *("ImportJob", "ExportJob", "ServiceImportJob", "ServiceExportJob"),
    *("ResourceImportJob", "ResourceExportJob"),
    *("NetworkDiscovery", "NetworkAudit", "ResolveDifference", "CustomerBillOnDemand"),
}
#: Kinds that are like another in everything that the tests of all collections look at.
EQUIVALENT_KINDS = {
    *("ServiceCatalog", "ServiceCandidate", "ServiceExportJob", "QueryServiceQualification"),
    *("ResourceCatalog", "ResourceCategory", "ResourceCandidate"),
    *("ResourceImportJob", "ResourceExportJob"),
}


@dataclass(frozen=True)
class Collection:
    """One collection of one contract.

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
        """Its path."""
        return f"{self.contract.base_path}/{self.resource}"

    @property
    def is_v5(self):
        """Whether it is of version 5."""
        return self.contract.version == "v5"

    @property
    def kind(self):
        """The stored kind."""
        return self.operations["list"].kind

    @property
    def schema(self):
        """The schema of its resources."""
        return self.operations["list"].schema

    def body(self, client, *, full=False):
        """A valid body for a create; what it must refer to is made with the client."""
        schema = self.operations["create"].body_schema
        bodies = BodyFactory(self.contract)
        made = bodies.full(schema) if full else bodies.minimal(schema)
        if self.kind == "Alarm":
            made["state"] = "raised"
        return made | self._references(client)

    def _references(self, client):
        typed = {"@type": "ProductOrderRef"} if self.is_v5 else {}
        if self.kind == "CancelProductOrder":
            order = collection_of(self.contract, "productOrder").create(client).json()
            return {"productOrder": {"id": order["id"], **typed}}
        if self.kind == "CancelServiceOrder":
            order = collection_of(self.contract, "serviceOrder").create(client).json()
            return {"serviceOrder": {"id": order["id"]}}
        if self.kind == "ResolveDifference":
            audit = collection_of(self.contract, "networkAudit").create(client).json()
            return {"audit": {"id": audit["id"], "@type": "EntityRef"}}
        if self.kind in ALARM_TASKS:
            alarms = collection_of(self.contract, "alarm")
            typed = {"@type": "AlarmRef"} if self.is_v5 else {}
            made = [{"id": alarms.create(client).json()["id"], **typed} for _ in range(2)]
            if self.kind in {"GroupAlarm", "UnGroupAlarm"}:
                return {"parentAlarm": made[0], "correlatedAlarm": made[1:]}
            pattern = {"@type": "Alarm"} if self.is_v5 else {}
            return {"alarmPattern": [{**pattern, "id": made[0]["id"]}]}
        return {}

    def create(self, client, body=None, *, full=False, **changes):
        """Make a resource and return the answer, which is 201."""
        body = self.body(client, full=full) if body is None else body
        answer = client.post(self.path, json={**body, **changes})
        assert answer.status_code == 201, f"{answer.text} for {body}"
        return answer

    def check_response(self, action, response, *, types_only=False):
        """Hold an answer to the contract: status, media type, schema."""
        check_response(self.contract, self.operations[action], response, types_only=types_only)


def check_response(contract, operation, response, *, types_only=False):
    """Hold an answer to the contract: status, media type, schema.

    What one version must have and the other does not cannot be there when the other wrote it, the
    types of nested objects apart; ``types_only`` lets it be missing.
    """
    responses = contract.document["paths"][operation.path][operation.method]["responses"]
    assert str(response.status_code) in responses, f"{response.status_code} is not declared"
    declared = resolve_reference(contract.document, responses[str(response.status_code)])
    if "content" not in declared:
        assert not response.content, response.text
        return
    assert response.headers["content-type"] == "application/json"
    schema = declared["content"]["application/json"]["schema"]
    listed = schema.get("type") == "array"
    name = (schema["items"] if listed else schema)["$ref"].rpartition("/")[2]
    for one in response.json() if listed else [response.json()]:
        problems = [
            f"{list(error.instance_path)}: {error.message}"
            for error in validators(contract).validator(name).iter_errors(one)
            if not types_only
            or " is a required property" not in error.message
            or error.message.startswith('"@type"')
        ]
        assert not problems, f"{problems[:5]} in {one}"


@cache
def _validators(number, version):
    contract = next(c for c in CONTRACTS if (c.number, c.version) == (number, version))
    return Schemas(contract.document, version)


def validators(contract):
    """The validators of a contract."""
    return _validators(contract.number, contract.version)


def all_collections():
    """Every collection of every contract."""
    found = {}
    for contract in CONTRACTS:
        for one in contract.operations:
            if one.kind:
                key = (contract.number, contract.version, one.resource)
                entry = found.setdefault(key, Collection(contract, one.resource, {}))
                entry.operations[one.action] = one
    return list(found.values())


COLLECTIONS = all_collections()


def collection_of(contract, resource):
    """A collection of a contract."""
    return next(c for c in COLLECTIONS if c.contract is contract and c.resource == resource)


def collections_with(*actions):
    """The collections that have some operations, as parameters of a test; of those alike one."""
    return [
        c
        for c in COLLECTIONS
        if set(actions) <= set(c.operations) and c.kind not in EQUIVALENT_KINDS
    ]
