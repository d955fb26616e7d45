"""Terms of the catalogs that several API modules use.

The contracts type ``relationshipType`` and ``lifecycleStatus`` as free text.
"""

#: Life cycle states in which customers can order what a catalog entity describes.
ON_SALE_STATES = frozenset({"Active", "Launched"})

#: ``relationshipType`` of a specification to its components.
COMPOSITION_TYPES = frozenset({"consistsOf", "composedOf", "bundled"})
#: ``relationshipType`` of a specification to those that have to exist before it.
DEPENDENCY_TYPES = frozenset({"requires", "dependency", "reliesOn"})
