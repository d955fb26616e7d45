"""Problems of an order whose items name what its client cannot see."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SubjectProblems:
    """The items of an order that name what the orderer cannot see, or what has ended.

    Attributes:
        reasons: From the ids of the items without parts to the reasons.
        bundles: Ids of bundle items, whose parts have reasons, too.
        is_fulfilled_here: An item changes what has ended, or what does not exist for a party, so
            that no other system may fulfil the order.
        never_fulfillable: Ids of the items that can never be fulfilled.
    """

    reasons: Mapping[str, str] = field(default_factory=dict)
    bundles: frozenset[str] = frozenset()
    is_fulfilled_here: bool = False
    never_fulfillable: frozenset[str] = frozenset()


NO_PROBLEMS = SubjectProblems()
