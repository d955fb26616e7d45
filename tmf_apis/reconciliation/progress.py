"""Progress and result of a task, written into the task."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tmf_apis.errors import NotFound
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Minimum time between two writes of the progress, in seconds.
WRITE_INTERVAL = 1.0
#: States of a task that has ended.
FINAL_STATES = frozenset({"done", "terminatedWithError"})


class TaskDeleted(Exception):
    """The task was deleted, which cancels it."""


class TaskProgress:
    """Writes the progress of a task, at most once per ``WRITE_INTERVAL``."""

    def __init__(self, repository: Repository, task: Resource) -> None:
        self._repository = repository
        self._kind, self._id = str(task["@type"]), task["id"]
        self._last_write = time.monotonic()

    def write_if_due(self, attributes: Callable[[], Mapping[str, Any]]) -> None:
        """Write attributes if the last write is ``WRITE_INTERVAL`` ago.

        Args:
            attributes: Returns the attributes; called only if they are written.

        Raises:
            TaskDeleted: The task was deleted.
        """
        if time.monotonic() - self._last_write >= WRITE_INTERVAL:
            self.write({"state": "inProgress", **attributes()})

    def write(self, attributes: Mapping[str, Any]) -> None:
        """Write attributes.

        Raises:
            TaskDeleted: The task was deleted.
        """
        self._last_write = time.monotonic()
        try:
            self._repository.change(self._kind, self._id, lambda old: {**old, **attributes})
        except NotFound:
            raise TaskDeleted from None

    def finish(self, attributes: Mapping[str, Any], *, success: bool = True) -> None:
        """Write attributes and the final state.

        Raises:
            TaskDeleted: The task was deleted.
        """
        state = "done" if success else "terminatedWithError"
        self.write({**attributes, "completionDate": rfc3339(datetime.now(UTC)), "state": state})
