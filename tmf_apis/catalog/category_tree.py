"""The categories of a catalogue make a tree, whose two directions are kept saying the same."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import InvalidBody, NotFound
from tmf_apis.rest.pipeline.cycles import MAX_DEPTH
from tmf_apis.rest.pipeline.policy import Repository, Resource


def reference_ids(references: Iterable[Mapping[str, Any]] | None) -> Iterator[str]:
    """Yield the ids of references."""
    yield from (one["id"] for one in references or () if isinstance(one.get("id"), str))


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryTree:
    """Where the categories of one catalogue say what is above and below them.

    Attributes:
        kind: The kind of category.
        parent_attribute: The attribute that names the one above.
        children_attribute: The attribute that lists those below.
        parent_is_reference: The parent is a reference, not just an id.
    """

    kind: str
    parent_attribute: str
    children_attribute: str
    parent_is_reference: bool = False

    def parent_id(self, category: Mapping[str, Any] | None) -> str | None:
        """Return the id of the category above, if there is one."""
        value = (category or {}).get(self.parent_attribute)
        if self.parent_is_reference:
            value = value.get("id") if isinstance(value, Mapping) else None
        return value if isinstance(value, str) and value else None

    def check(self, repository: Repository, new: Resource | None) -> None:
        """Let a category pass that is not above itself.

        Raises:
            InvalidBody: It is, or the chain of parents is deeper than ``MAX_DEPTH`` (HTTP 400).
        """
        if new is None:
            return
        chain = self._ancestor_ids(repository, new)
        below = set(reference_ids(new.get(self.children_attribute)))
        if new["id"] in chain:
            raise InvalidBody(f"{self._parent_pointer}: category {new['id']} would be above itself")
        if wrong := below & {*chain, new["id"]}:
            raise InvalidBody(
                f"/{self.children_attribute}: {min(wrong)} is this category, or above it already"
            )

    @property
    def _parent_pointer(self) -> str:
        return (
            f"/{self.parent_attribute}/id"
            if self.parent_is_reference
            else f"/{self.parent_attribute}"
        )

    def _ancestor_ids(self, repository: Repository, category: Resource) -> list[str]:
        found: list[str] = []
        parent = self.parent_id(category)
        while parent:
            if parent in found or len(found) >= MAX_DEPTH:
                raise InvalidBody(
                    f"{self._parent_pointer}: no end of the tree within {MAX_DEPTH} levels"
                )
            found.append(parent)
            if parent == category["id"]:
                break
            try:
                parent = self.parent_id(repository.get(self.kind, parent))
            except NotFound:
                break
        return found

    def update_inverse_references(
        self, repository: Repository, old: Resource | None, new: Resource | None
    ) -> None:
        """Keep the parent of a category and the children of the one above saying the same.

        A category that names a parent stands in the parent's list, and one that is listed and has
        no parent gets it. Leaving the list and leaving the parent are the same, too. A reference
        to a category that is not there stays as it is. Safe to repeat.
        """
        me = (new or old or {})["id"]
        before, now = self.parent_id(old), self.parent_id(new)
        if before and before != now:
            self._change(repository, before, lambda above: self._without_child(above, me))
        if new and now:
            self._change(repository, now, lambda above: self._with_child(above, new))
        listed = set(reference_ids((new or {}).get(self.children_attribute)))
        for gone in sorted(set(reference_ids((old or {}).get(self.children_attribute))) - listed):
            self._change(repository, gone, lambda child: self._without_parent(child, me))
        if new:
            for child in sorted(listed):
                self._change(repository, child, lambda child: self._with_parent(child, new))

    def _change(
        self, repository: Repository, id: str, edit: Callable[[Resource], Resource]
    ) -> None:
        with suppress(NotFound):
            repository.change(self.kind, id, edit)

    def _reference(self, category: Resource) -> Resource:
        reference: Resource = {"@type": f"{self.kind}Ref", "id": category["id"]}
        reference["@referredType"] = self.kind
        named = {name: category[name] for name in ("name", "version") if name in category}
        return reference | named

    def _with_child(self, parent_category: Resource, child: Resource) -> Resource:
        listed = parent_category.get(self.children_attribute) or []
        name = {"name": child["name"]} if "name" in child else {}
        if child["id"] not in reference_ids(listed):
            return {**parent_category, self.children_attribute: [*listed, self._reference(child)]}
        return {
            **parent_category,
            self.children_attribute: [
                {**one, **name} if one.get("id") == child["id"] else one for one in listed
            ],
        }

    def _without_child(self, parent_category: Resource, child: str) -> Resource:
        listed = parent_category.get(self.children_attribute) or []
        if child not in reference_ids(listed):
            return parent_category
        left = [one for one in listed if one.get("id") != child]
        rest = {
            name: value
            for name, value in parent_category.items()
            if name != self.children_attribute
        }
        return {**rest, self.children_attribute: left} if left else rest

    def _without_parent(self, child: Resource, parent_id: str) -> Resource:
        if self.parent_id(child) != parent_id:
            return child
        return {name: value for name, value in child.items() if name != self.parent_attribute}

    def _with_parent(self, child: Resource, parent_category: Resource) -> Resource:
        if child.get(self.parent_attribute):
            return child
        parent = (
            self._reference(parent_category) if self.parent_is_reference else parent_category["id"]
        )
        return {**child, self.parent_attribute: parent}
