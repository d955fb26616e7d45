"""Things that refer to things of their own kind, and must not come back to themselves."""

from collections.abc import Callable, Iterable, Mapping

#: Deepest chain of references that is followed; a deeper one counts as a mistake.
MAX_DEPTH = 100

#: Most things that are looked at before a walk is given up as a mistake.
MAX_NODES = 10_000


def cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names on one cycle, the first again at the end; empty without one.

    >>> cycle({"a": ["b"], "b": ["c"], "c": ["b"]})
    ['b', 'c', 'b']
    >>> cycle({"a": ["b", "c"], "b": ["c"]})
    []
    """
    done: set[str] = set()
    for root in edges:
        path: dict[str, None] = {}
        pending = [(root, iter([root]))]
        while pending:
            name, following = pending[-1]
            if (following_name := next(following, None)) is None:
                pending.pop()
                path.pop(name, None)
                done.add(name)
            elif following_name in path:
                names = list(path)
                return [*names[names.index(following_name) :], following_name]
            elif following_name not in done:
                path[following_name] = None
                pending.append((following_name, iter(edges.get(following_name, ()))))
    return []


def is_reachable(
    goal: str, start: Iterable[str], fetch: Callable[[set[str]], Mapping[str, Iterable[str]]]
) -> bool:
    """Return whether ``goal`` is among ``start`` or anything that they lead to.

    Args:
        goal: The name that must not be found.
        start: Where the walk begins.
        fetch: Returns what each of a set of names leads to; called once a level.

    A walk deeper than ``MAX_DEPTH`` or wider than ``MAX_NODES`` is taken for one that comes back.
    """
    seen: set[str] = set()
    level = set(start)
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        if goal in level or len(seen) > MAX_NODES:
            return True
        seen |= level
        level = {name for leads in fetch(level).values() for name in leads} - seen
    return True
