"""Bodies that name another resource, for every reference that the contracts declare."""

import copy

from tests.support.body_factory import COMPONENTS, BodyFactory
from tests.support.contract_collections import COLLECTIONS
from tmf_apis.rest.contracts.reference_schema import ENTITY, ReferenceSchema

KINDS = frozenset(collection.kind for collection in COLLECTIONS)


def reference_schema(collection):
    """Return the references in the bodies of a collection, in its own version."""
    document, create = collection.contract.document, collection.operations.get("create")
    schemas = [create.body_schema] if create else []
    roots = [(document, name) for name in (*schemas, collection.schema)]
    return ReferenceSchema(collection.kind, roots, KINDS)


def reference_paths(collection):
    """Return the path of each reference to a stored kind with its nodes, shortest first.

    A type is entered once on a path.
    """
    paths = list(_paths(reference_schema(collection).root, (), ()))
    return sorted(paths, key=lambda item: (len(item[0]), item[0]))


def _paths(node, path, nodes):
    if node in nodes:
        return
    for name in node.names:
        child = node.attribute(name)
        if child.kind or child.target == ENTITY:
            yield (*path, name), (*nodes, node, child)
        yield from _paths(child, (*path, name), (*nodes, node))


def body_with_reference(collection, body, path, nodes, member):
    """Return a body with a reference at a path.

    Args:
        collection: The collection that the body is for.
        body: A valid body; it is not changed.
        path: The attribute path of the reference.
        nodes: The nodes of the path, as ``reference_paths`` returns them.
        member: The members of the reference, or the plain id.
    """
    factory = BodyFactory(collection.contract)
    new = copy.deepcopy(body)
    holder = new
    for name, parent in zip(path[:-1], nodes, strict=False):
        holder = _first(holder.setdefault(name, _minimal(factory, name, parent)))
    name = path[-1]
    if isinstance(member, str):
        holder[name] = member
        return new
    target = _first(holder.setdefault(name, _minimal(factory, name, nodes[-2])))
    target.update(member)
    return new


def _first(value):
    """Return the first item of an array, or the object itself."""
    while isinstance(value, list):
        value = value[0]
    return value


def _minimal(factory, name, parent):
    """Return an attribute with its required members; an array has one item."""
    schema = parent._shape.properties[name][0][1]
    value = factory._value(name, schema, full=False, depth=9)
    if _first(value or [{}]) in (None, {}) or not isinstance(_first(value), dict):
        return [{}] if _is_array(factory, schema) else {}
    return value


def _is_array(factory, schema):
    while "$ref" in schema:
        schema = factory._schemas[schema["$ref"].removeprefix(COMPONENTS)]
    return schema.get("type") == "array"
