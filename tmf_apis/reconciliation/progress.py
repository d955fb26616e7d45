"""How far a task is, written into it while it goes on."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tmf_apis.errors import NotFound
from tmf_apis.rest.pipeline.policy import Repository, Resource, rfc3339

#: Pause between two words about how far a task is, in seconds.
WRITE_INTERVAL = 1.0
#: States of a task that has ended.
FINAL_STATES = frozenset({"done", "terminatedWithError"})


class TaskDeleted(Exception):
    """The task was deleted: whoever asked for it does not want it any more."""


class TaskProgress:
    """Writes into a task how far it is, once a second at most."""

    def __init__(self, repository: Repository, task: Resource) -> None:
        self._repository = repository
        self._kind, self._id = str(task["@type"]), task["id"]
        self._last_write = time.monotonic()

    def write_if_due(self, attributes: Callable[[], Mapping[str, Any]]) -> None:
        """Write facts, if the last ones are old enough.

        Raises:
            Gone: The task was deleted.
        """
        if time.monotonic() - self._last_write >= WRITE_INTERVAL:
            self.write({"state": "inProgress", **attributes()})

    def write(self, attributes: Mapping[str, Any]) -> None:
        """Write facts.

        Raises:
            Gone: The task was deleted.
        """
        self._last_write = time.monotonic()
        try:
            self._repository.change(self._kind, self._id, lambda old: {**old, **attributes})
        except NotFound:
            raise TaskDeleted from None

    def finish(self, attributes: Mapping[str, Any], *, success: bool = True) -> None:
        """Write facts and that the task has ended.

        Raises:
            Gone: The task was deleted.
        """
        state = "done" if success else "terminatedWithError"
        self.write({**attributes, "completionDate": rfc3339(datetime.now(UTC)), "state": state})
