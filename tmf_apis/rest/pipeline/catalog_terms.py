"""Terms of the catalogues that several API modules use.

The contracts type ``relationshipType`` and ``lifecycleStatus`` as free text.
"""

#: Lifecycle states of the catalogue entities that customers can order.
ON_SALE_STATES = frozenset({"Active", "Launched"})

#: Lifecycle states of the catalogue entities that nobody can order any more.
WITHDRAWN_STATES = frozenset({"Retired", "Obsolete", "Rejected"})

#: ``relationshipType`` of a specification to its components.
COMPOSITION_TYPES = frozenset({"consistsOf", "composedOf", "bundled"})
#: ``relationshipType`` of a specification, product or service to those that it depends on.
DEPENDENCY_TYPES = frozenset({"requires", "dependency", "reliesOn"})
