"""The tasks of a client: which resources it creates, lists, reads, changes and deletes."""

from tests.support.contract_collections import COLLECTIONS
from tmf_apis.rest.contracts.contract import Contract

#: The APIs with both versions.
NUMBERS = ("TMF620", "TMF622", "TMF629", "TMF639", "TMF642", "TMF678")
#: Attributes that a client changes; the first that the schema has. None can be changed in tasks.
CHANGES = {
    "description": "changed by a client",
    "alarmDetails": "changed by a client",
    "statusReason": "changed by a client",
    "state": "settled",
}
#: Collections that the contract lets a client change, but whose rules refuse these changes.
UNCHANGED = {"CustomerBillOnDemand", "CancelProductOrder", "CancelServiceOrder"}


def steps(contract: Contract, client):
    """Return the steps of a contract, one for each collection.

    Args:
        contract: The contract.
        client: A client of the server, which creates the resources that bodies refer to.
    """
    return [
        _step(collection, client)
        for collection in COLLECTIONS
        if collection.contract is contract and "list" in collection.operations
    ]


def _step(collection, client):
    operations = collection.operations
    create, patch = operations.get("create"), operations.get("patch")
    body = collection.body(client, full=True) if create else {}
    return {
        "resource": collection.resource,
        "operations": {action: each.operation_id for action, each in operations.items()},
        "create_schema": create.body_schema if create else "",
        "body": body,
        "expected": {k: body[k] for k in ("@type", "name", "description") if k in body},
        "patch_schema": patch.body_schema if patch else "",
        "patch": _change(collection, patch, body) if patch else {},
        "delete": bool(create),
    }


def _change(collection, patch, body):
    if collection.kind in UNCHANGED:
        return {}
    schemas = collection.contract.document["components"]["schemas"]
    names = _attributes(schemas, schemas[patch.body_schema])
    name = next((name for name in CHANGES if name in names), None)
    typed = {"@type": body["@type"]} if "@type" in body else {}
    return {name: CHANGES[name], **typed} if name else {}


def _attributes(schemas, schema):
    names = set(schema.get("properties", ()))
    for part in schema.get("allOf", ()):
        base = schemas[part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        names |= _attributes(schemas, base)
    return names
