"""The rules about what a party may name and set in resources; declared by the API modules.

The operator's staff, and clients without authentication, are not restricted by these rules.
Attribute paths are dotted and pass through arrays. Repeated names count once, so
``productOrderItem.state`` covers the parts of a bundle as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: Stands for every attribute that a table does not name.
ANY_ATTRIBUTE = "*"


class Access(StrEnum):
    """The right that a party must have on the target of a reference."""

    #: Change all of it: the party has created the target.
    CREATED = "created"
    #: Change it: the target belongs to the party.
    OWN = "own"
    #: Read it: the target belongs to the party or to everybody.
    SEE = "see"
    #: Nothing: the target is in another system.
    ANYWHERE = "anywhere"
    #: The operator has given the id to the party in a resource that the party can read.
    HELD = "held"
    #: Nothing here: the task itself finds its targets, with the rights of the client.
    TASK = "task"


class Setter(StrEnum):
    """The client that decides the value of an attribute."""

    #: Every party that the resource belongs to.
    OWNER = "owner"
    #: The party that created the resource, and the operator.
    CREATOR = "creator"
    #: The owner when the resource is created; afterwards only the operator.
    ON_CREATE = "owner on create"
    #: Only the operator and the server.
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartyRules:
    """The rules of one kind for clients that act for parties.

    Attributes:
        references: Access by attribute path. A path that begins with ``*.`` matches at any depth.
            Default: ``see`` for kinds that this server stores, ``held`` for accounts, ``anywhere``
            for all others.
        setters: Who decides an attribute, by attribute path; ``*`` stands for all others. Default:
            the owner.
        states: The states to which a party may move a resource; None: any that the lifecycle
            allows.
        deleted_by: Who may delete a resource.
        holds: Pseudo-kinds whose ids the resources give to their parties: paths by pseudo-kind.
    """

    references: Mapping[str, Access] = field(default_factory=dict)
    setters: Mapping[str, Setter] = field(default_factory=dict)
    states: frozenset[str] | None = None
    deleted_by: Setter = Setter.OWNER
    holds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_read_only(self) -> bool:
        """Return whether parties can only read the resources."""
        return self.setters.get(ANY_ATTRIBUTE) is Setter.OPERATOR

    @property
    def decided_names(self) -> frozenset[str]:
        """The first-level attributes that a party cannot change in every case."""
        return frozenset(
            path
            for path, setter in self.setters.items()
            if setter is not Setter.OWNER and path != ANY_ATTRIBUTE and "." not in path
        )

    def access(self, path: tuple[str, ...]) -> Access | None:
        """Return the declared access of a reference; the longest matching path decides."""
        if declared := self.references.get(".".join(path)):
            return declared
        for start in range(len(path)):
            if declared := self.references.get("*." + ".".join(path[start:])):
                return declared
        return None


def operator_decides(*paths: str) -> dict[str, Setter]:
    """Return a table of attributes that only the operator decides."""
    return dict.fromkeys(paths, Setter.OPERATOR)


#: Resources that parties can only read.
READ_ONLY = PartyRules(setters={ANY_ATTRIBUTE: Setter.OPERATOR})
