"""The work that one patch may cause, counted while the patch is applied.

A short patch can multiply a resource (copies of copies), or select the same values again and again.
Work is counted in values and bytes, so that the limit does not depend on the speed of the machine.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from tmf_apis.errors import TooLarge
from tmf_apis.settings import Settings

#: The work of copying a value, in visited values: a copied value is also validated and stored.
COPY_WORK = 10


@dataclass(slots=True)
class PatchBudget:
    """The work that a patch may still cause.

    Attributes:
        max_work: The most work, in visited values.
        max_bytes: The largest size of the resource while it is patched, in bytes of JSON.
        work: The work so far.
        bytes: The size of the resource plus everything that was added to it.
    """

    max_work: int
    max_bytes: int
    work: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, resource: dict[str, Any], settings: Settings) -> "PatchBudget":
        """Return the budget for a patch of a resource."""
        size = len(orjson.dumps(resource))
        return cls(settings.patch_work, settings.resource_limit, bytes=size)

    def visit(self, count: int) -> None:
        """Count visited values.

        Raises:
            TooLarge: The patch needs too much work (HTTP 413).
        """
        self.work += count
        if self.work > self.max_work:
            raise TooLarge(
                f"the patch needs more work than {self.max_work} values; send several patches"
            )

    def grow(self, value: object, *, times: int) -> None:
        """Count the bytes of a value that is added to the resource several times.

        Raises:
            TooLarge: The resource would become too large (HTTP 413).
        """
        self.bytes += times * len(orjson.dumps(value))
        if self.bytes > self.max_bytes:
            raise TooLarge(f"the patched resource would exceed {self.max_bytes} bytes")

    def copy(self, value: Any, work: int = COPY_WORK) -> Any:  # noqa: ANN401
        """Return a copy of a JSON value; its work is counted while it is copied.

        Args:
            value: The value.
            work: The work of each value in it: 1 if the client has sent it.

        Raises:
            TooLarge: The patch needs too much work (HTTP 413).
        """
        self.visit(work)
        if type(value) is dict:
            return {name: self.copy(member, work) for name, member in value.items()}
        if type(value) is list:
            return [self.copy(item, work) for item in value]
        return value


def copied(value: Any) -> Any:  # noqa: ANN401
    """Return a copy of a JSON value, four times as fast as ``copy.deepcopy``."""
    if type(value) is dict:
        return {name: copied(member) for name, member in value.items()}
    if type(value) is list:
        return [copied(item) for item in value]
    return value
