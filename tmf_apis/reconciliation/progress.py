"""How far a task is, written into it while it goes on."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tmf_apis.errors import NotFound
from tmf_apis.rest.law import Desk, Resource, rfc3339

#: Pause between two words about how far a task is, in seconds.
PAUSE = 1.0
#: States of a task that has ended.
FINAL = frozenset({"done", "terminatedWithError"})


class Gone(Exception):
    """The task was deleted: whoever asked for it does not want it any more."""


class Progress:
    """Writes into a task how far it is, once a second at most."""

    def __init__(self, desk: Desk, task: Resource) -> None:
        self._desk = desk
        self._kind, self._id = str(task["@type"]), task["id"]
        self._last = time.monotonic()

    def tell(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        """Write facts, if the last ones are old enough.

        Raises:
            Gone: The task was deleted.
        """
        if time.monotonic() - self._last >= PAUSE:
            self.write({"state": "inProgress", **facts()})

    def write(self, facts: Mapping[str, Any]) -> None:
        """Write facts.

        Raises:
            Gone: The task was deleted.
        """
        self._last = time.monotonic()
        try:
            self._desk.change(self._kind, self._id, lambda old: {**old, **facts})
        except NotFound:
            raise Gone from None

    def end(self, facts: Mapping[str, Any], *, good: bool = True) -> None:
        """Write facts and that the task has ended.

        Raises:
            Gone: The task was deleted.
        """
        state = "done" if good else "terminatedWithError"
        self.write({**facts, "completionDate": rfc3339(datetime.now(UTC)), "state": state})
