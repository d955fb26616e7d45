"""The tree of the categories of a catalogue, and its references in both directions."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import InvalidBody, NotFound
from tmf_apis.rest.pipeline.cycles import MAX_DEPTH
from tmf_apis.rest.pipeline.policy import Repository, RequestContext, Resource


def reference_ids(references: Iterable[Mapping[str, Any]] | None) -> Iterator[str]:
    """Yield the ids of references."""
    for reference in references or ():
        if isinstance(reference.get("id"), str):
            yield reference["id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryTree:
    """The tree of the categories of one catalogue.

    Attributes:
        kind: Kind of the categories.
        parent_attribute: Attribute with the parent.
        children_attribute: Attribute that lists the children.
        parent_is_reference: The parent attribute holds a reference, not just an id.
    """

    kind: str
    parent_attribute: str
    children_attribute: str
    parent_is_reference: bool = False

    def parent_id(self, category: Mapping[str, Any] | None) -> str | None:
        """Return the id of the parent of a category; None if it has no parent."""
        value = (category or {}).get(self.parent_attribute)
        if self.parent_is_reference:
            value = value.get("id") if isinstance(value, Mapping) else None
        return value if isinstance(value, str) and value else None

    def check(self, repository: Repository, new: Resource | None) -> None:
        """Check that a category is not its own ancestor.

        Raises:
            InvalidBody: The category is its own ancestor, or has more than ``MAX_DEPTH`` ancestors
                (HTTP 400).
        """
        if new is None:
            return
        ancestors = self._ancestor_ids(repository, new)
        children = set(reference_ids(new.get(self.children_attribute)))
        if new["id"] in ancestors:
            raise InvalidBody(f"{self._parent_pointer}: category {new['id']} would be above itself")
        if invalid_children := children & {*ancestors, new["id"]}:
            raise InvalidBody(
                f"/{self.children_attribute}: {min(invalid_children)} is this category or one of"
                " its ancestors"
            )

    def lock_name(self, old: Resource | None, new: Resource, context: RequestContext) -> str:
        """Return the lock of the tree, if a client changes the place of a category in it."""
        names = (self.parent_attribute, self.children_attribute)
        is_same = all((old or {}).get(name) == new.get(name) for name in names)
        return "" if context.system or is_same else f"{self.kind}.tree"

    @property
    def _parent_pointer(self) -> str:
        return (
            f"/{self.parent_attribute}/id"
            if self.parent_is_reference
            else f"/{self.parent_attribute}"
        )

    def _ancestor_ids(self, repository: Repository, category: Resource) -> list[str]:
        ancestors: list[str] = []
        parent = self.parent_id(category)
        while parent:
            if parent in ancestors or len(ancestors) >= MAX_DEPTH:
                raise InvalidBody(
                    f"{self._parent_pointer}: more than {MAX_DEPTH} categories above, or a cycle"
                )
            ancestors.append(parent)
            if parent == category["id"]:
                break
            try:
                parent = self.parent_id(repository.get(self.kind, parent))
            except NotFound:
                break
        return ancestors

    def update_inverse_references(
        self, repository: Repository, old: Resource | None, new: Resource | None
    ) -> None:
        """Update the parent and the children of a changed category; safe to repeat.

        The parent's list of children gets or loses the category. A child that was added to the
        category's list gets it as parent, unless it has another parent; a child that was removed
        loses it. References to categories that do not exist stay as they are.
        """
        id = (new or old or {})["id"]
        old_parent, new_parent = self.parent_id(old), self.parent_id(new)
        if old_parent and old_parent != new_parent:
            self._change(repository, old_parent, lambda parent: self._without_child(parent, id))
        if new and new_parent:
            self._change(repository, new_parent, lambda parent: self._with_child(parent, new))
        old_children = set(reference_ids((old or {}).get(self.children_attribute)))
        new_children = set(reference_ids((new or {}).get(self.children_attribute)))
        for child_id in sorted(old_children - new_children):
            self._change(repository, child_id, lambda child: self._without_parent(child, id))
        if new:
            for child_id in sorted(new_children):
                self._change(repository, child_id, lambda child: self._with_parent(child, new))

    def _change(
        self, repository: Repository, id: str, edit: Callable[[Resource], Resource]
    ) -> None:
        with suppress(NotFound):
            repository.change(self.kind, id, edit)

    def _reference(self, category: Resource) -> Resource:
        reference: Resource = {"@type": f"{self.kind}Ref", "id": category["id"]}
        reference["@referredType"] = self.kind
        return reference | {
            name: category[name] for name in ("name", "version") if name in category
        }

    def _with_child(self, parent_category: Resource, child: Resource) -> Resource:
        children = parent_category.get(self.children_attribute) or []
        name = {"name": child["name"]} if "name" in child else {}
        if child["id"] not in reference_ids(children):
            children = [*children, self._reference(child)]
        else:
            children = [
                {**reference, **name} if reference.get("id") == child["id"] else reference
                for reference in children
            ]
        return {**parent_category, self.children_attribute: children}

    def _without_child(self, parent_category: Resource, child: str) -> Resource:
        children = parent_category.get(self.children_attribute) or []
        if child not in reference_ids(children):
            return parent_category
        remaining = [reference for reference in children if reference.get("id") != child]
        rest = {
            name: value
            for name, value in parent_category.items()
            if name != self.children_attribute
        }
        return {**rest, self.children_attribute: remaining} if remaining else rest

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
