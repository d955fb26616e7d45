"""The order in which the resource facing services of a product are provided."""

from dataclasses import replace

from tmf_apis.fulfilment.design.decomposition import ServiceNode
from tmf_apis.fulfilment.design.references import relationships
from tmf_apis.fulfilment.design.specification_tree import SpecificationTree
from tmf_apis.rest.pipeline.catalog_terms import DEPENDENCY_TYPES
from tmf_apis.rest.pipeline.cycles import cycle


def set_provisioning_order(tree: SpecificationTree) -> tuple[int, ...]:
    """Set the dependencies of the services of a tree.

    Returns:
        The numbers of the resource facing services, each after those that are provided before it;
        nothing after an error.
    """
    resource_facing = [node.number for node in tree.nodes if node.facing == "resource"]
    dependencies: dict[int, set[int]] = {number: set() for number in resource_facing}
    for index, node in enumerate(tree.nodes):
        internal, external = _dependencies(tree, node, resource_facing)
        for number in _resource_facing_below(tree, node.number, resource_facing):
            dependencies[number] |= internal
        if external:
            tree.nodes[index] = replace(node, external_dependencies=tuple(external))
    if path := cycle({str(n): [str(o) for o in sorted(dependencies[n])] for n in resource_facing}):
        names = " -> ".join(tree.nodes[int(number) - 1].name for number in path)
        tree.errors.append(f"services require each other in a cycle: {names}")
        return ()
    for number in resource_facing:
        node = tree.nodes[number - 1]
        tree.nodes[number - 1] = replace(node, depends_on=tuple(sorted(dependencies[number])))
    return _topological_order(dependencies)


def _dependencies(
    tree: SpecificationTree, node: ServiceNode, resource_facing: list[int]
) -> tuple[set[int], list[str]]:
    """Return the dependencies of a service within the product and outside of it.

    Returns:
        Numbers of resource facing services, and ids of ServiceSpecifications.
    """
    internal: set[int] = set()
    external = []
    for relationship in relationships(tree.index.services[node.specification], DEPENDENCY_TYPES):
        required = [
            other.number for other in tree.nodes if other.specification == relationship["id"]
        ]
        for number in required:
            internal.update(_resource_facing_below(tree, number, resource_facing))
        if not required:
            external.append(str(relationship["id"]))
    return internal, external


def _resource_facing_below(
    tree: SpecificationTree, number: int, resource_facing: list[int]
) -> list[int]:
    return [other for other in resource_facing if number in tree.node_and_ancestors(other)]


def _topological_order(dependencies: dict[int, set[int]]) -> tuple[int, ...]:
    """Return the numbers, each after its dependencies; otherwise in ascending order."""
    ordered: dict[int, None] = {}
    while len(ordered) < len(dependencies):
        number = next(
            number
            for number, required in dependencies.items()
            if number not in ordered and required <= ordered.keys()
        )
        ordered[number] = None
    return tuple(ordered)
