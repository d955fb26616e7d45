"""Cycles in references between resources of the same kind."""

from collections.abc import Callable, Iterable, Mapping

#: Longest chain of references that is followed; a longer one counts as a cycle.
MAX_DEPTH = 100

#: Most resources that are visited; a larger graph counts as a cycle.
MAX_NODES = 10_000


def cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names on a cycle, the first repeated at the end; empty without a cycle.

    >>> cycle({"a": ["b"], "b": ["c"], "c": ["b"]})
    ['b', 'c', 'b']
    >>> cycle({"a": ["b", "c"], "b": ["c"]})
    []
    """
    visited: set[str] = set()
    for root in edges:
        path: dict[str, None] = {}
        pending = [(root, iter([root]))]
        while pending:
            name, successors = pending[-1]
            if (successor := next(successors, None)) is None:
                pending.pop()
                path.pop(name, None)
                visited.add(name)
            elif successor in path:
                names = list(path)
                return [*names[names.index(successor) :], successor]
            elif successor not in visited:
                path[successor] = None
                pending.append((successor, iter(edges.get(successor, ()))))
    return []


def is_reachable(
    goal: str, start: Iterable[str], fetch: Callable[[set[str]], Mapping[str, Iterable[str]]]
) -> bool:
    """Return whether ``goal`` is among ``start`` or reachable from it.

    In a graph deeper than ``MAX_DEPTH`` or larger than ``MAX_NODES``, it counts as reachable.

    Args:
        goal: The name to look for.
        start: The names to begin with.
        fetch: Returns the successors of each of a set of names; called once per level.
    """
    visited: set[str] = set()
    level = set(start)
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        if goal in level or len(visited) > MAX_NODES:
            return True
        visited |= level
        level = {name for names in fetch(level).values() for name in names} - visited
    return True
