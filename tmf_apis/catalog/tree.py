"""The categories of a catalogue make a tree, whose two directions are kept saying the same."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import InvalidBody, NotFound
from tmf_apis.rest.cycles import DEEPEST
from tmf_apis.rest.law import Desk, Resource


def ids_in(references: Iterable[Mapping[str, Any]] | None) -> Iterator[str]:
    """Yield the ids of references."""
    yield from (one["id"] for one in references or () if isinstance(one.get("id"), str))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Where the categories of one catalogue say what is above and below them.

    Attributes:
        kind: The kind of category.
        parent: The attribute that names the one above.
        children: The attribute that lists those below.
        nested: The parent is a reference, not just an id.
    """

    kind: str
    parent: str
    children: str
    nested: bool = False

    def above(self, category: Mapping[str, Any] | None) -> str | None:
        """Return the id of the category above, if there is one."""
        value = (category or {}).get(self.parent)
        if self.nested:
            value = value.get("id") if isinstance(value, Mapping) else None
        return value if isinstance(value, str) and value else None

    def check(self, desk: Desk, new: Resource | None) -> None:
        """Let a category pass that is not above itself.

        Raises:
            InvalidBody: It is, or the chain of parents is deeper than ``DEEPEST`` (HTTP 400).
        """
        if new is None:
            return
        chain = self._chain(desk, new)
        below = set(ids_in(new.get(self.children)))
        if new["id"] in chain:
            raise InvalidBody(f"{self._pointer}: category {new['id']} would be above itself")
        if wrong := below & {*chain, new["id"]}:
            raise InvalidBody(
                f"/{self.children}: {min(wrong)} is this category, or above it already"
            )

    @property
    def _pointer(self) -> str:
        return f"/{self.parent}/id" if self.nested else f"/{self.parent}"

    def _chain(self, desk: Desk, category: Resource) -> list[str]:
        found: list[str] = []
        parent = self.above(category)
        while parent:
            if parent in found or len(found) >= DEEPEST:
                raise InvalidBody(f"{self._pointer}: no end of the tree within {DEEPEST} levels")
            found.append(parent)
            if parent == category["id"]:
                break
            try:
                parent = self.above(desk.get(self.kind, parent))
            except NotFound:
                break
        return found

    def keep(self, desk: Desk, old: Resource | None, new: Resource | None) -> None:
        """Keep the parent of a category and the children of the one above saying the same.

        A category that names a parent stands in the parent's list, and one that is listed and has
        no parent gets it. Leaving the list and leaving the parent are the same, too. A reference
        to a category that is not there stays as it is. Safe to repeat.
        """
        me = (new or old or {})["id"]
        before, now = self.above(old), self.above(new)
        if before and before != now:
            self._change(desk, before, lambda above: self._without(above, me))
        if new and now:
            self._change(desk, now, lambda above: self._with(above, new))
        listed = set(ids_in((new or {}).get(self.children)))
        for gone in sorted(set(ids_in((old or {}).get(self.children))) - listed):
            self._change(desk, gone, lambda child: self._orphan(child, me))
        if new:
            for child in sorted(listed):
                self._change(desk, child, lambda child: self._adopted(child, new))

    def _change(self, desk: Desk, id: str, edit: Callable[[Resource], Resource]) -> None:
        with suppress(NotFound):
            desk.change(self.kind, id, edit)

    def _reference(self, category: Resource) -> Resource:
        reference: Resource = {"@type": f"{self.kind}Ref", "id": category["id"]}
        reference["@referredType"] = self.kind
        named = {name: category[name] for name in ("name", "version") if name in category}
        return reference | named

    def _with(self, above: Resource, child: Resource) -> Resource:
        listed = above.get(self.children) or []
        name = {"name": child["name"]} if "name" in child else {}
        if child["id"] not in ids_in(listed):
            return {**above, self.children: [*listed, self._reference(child)]}
        return {
            **above,
            self.children: [
                {**one, **name} if one.get("id") == child["id"] else one for one in listed
            ],
        }

    def _without(self, above: Resource, child: str) -> Resource:
        listed = above.get(self.children) or []
        if child not in ids_in(listed):
            return above
        left = [one for one in listed if one.get("id") != child]
        rest = {name: value for name, value in above.items() if name != self.children}
        return {**rest, self.children: left} if left else rest

    def _orphan(self, child: Resource, above: str) -> Resource:
        if self.above(child) != above:
            return child
        return {name: value for name, value in child.items() if name != self.parent}

    def _adopted(self, child: Resource, above: Resource) -> Resource:
        if child.get(self.parent):
            return child
        parent = self._reference(above) if self.nested else above["id"]
        return {**child, self.parent: parent}
