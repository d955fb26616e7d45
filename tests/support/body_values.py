"""The values inside a body, and bodies in which one of them is replaced."""

import copy


def paths_to(value, is_wanted, path=()):
    """Yield the path of each value for which ``is_wanted(attribute, value)`` is true."""
    if is_wanted(path[-1] if path else "", value):
        yield path
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from paths_to(member, is_wanted, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths_to(item, is_wanted, (*path, index))


def with_value(body, path, value):
    """Return a copy of a body with another value at a path."""
    changed = copy.deepcopy(body)
    parent = changed
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1]] = value
    return changed


def pointer(path):
    """Return a path as a JSON pointer."""
    return "".join(f"/{part}" for part in path)
