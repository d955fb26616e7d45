"""Follow-ups of writes: what a kind's policy does to other resources after a commit.

The write stores a marker (``todo``), which is removed when the follow-up is complete. If the
process dies before that, the follow-up runs again, so it must be safe to repeat.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from tmf_apis.errors import TmfError, Unavailable
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.documents import resource_of
from tmf_apis.rest.pipeline.policy import Repository, RequestContext, Resource, ResourcePolicy
from tmf_apis.security.identity import Identity
from tmf_apis.store.model import DELETED_TENANT
from tmf_apis.store.resources import Document, ResourceStore

log = logging.getLogger(__name__)

#: Most follow-ups that one call of ``resume`` runs.
BATCH_SIZE = 1000

Change = tuple[Resource | None, Resource | None]


class AfterCommit:
    """Runs the follow-ups of writes."""

    def __init__(
        self,
        resources: ResourceStore,
        policy_of: Callable[[str], ResourcePolicy],
        repository_for: Callable[[Identity, RequestContext], Repository],
    ) -> None:
        """Store the collaborators.

        Args:
            resources: The store of the resources and markers.
            policy_of: Returns the policy of a kind.
            repository_for: Returns a repository that sees and changes what an identity may: the
                follow-up of a party's write changes no resource of others.
        """
        self._resources = resources
        self._policy_of = policy_of
        self._repository_for = repository_for

    def run(
        self,
        identity: Identity,
        context: RequestContext,
        kind: str,
        version: tuple[str, int],
        change: Change,
    ) -> None:
        """Run the follow-up of a write; remove its marker, unless a later write has set a new one.

        Args:
            identity: The client that wrote.
            context: The request.
            kind: The kind.
            version: Key and version of the document that the write has stored.
            change: The resource before (None: it is new) and after (None: it is deleted).
        """
        follow_up = self._policy_of(kind).after_commit
        assert follow_up is not None  # noqa: S101 - without a follow-up, no marker is set
        context = context if context.system else replace(context, system=True)
        follow_up(self._repository_for(identity, context), *change)
        self._resources.clear_side_effect(kind, *version)

    def resume(
        self, kind: str, before: datetime, context: Callable[[Identity], RequestContext]
    ) -> int:
        """Run the follow-ups of writes whose process died before it ran them.

        Args:
            kind: The kind.
            before: Only writes before this time count; later ones may still be in progress.
            context: Returns the context of a request by the server itself.

        Returns:
            The number of completed follow-ups.

        Raises:
            Unavailable: The database does not answer (HTTP 503).
        """
        query = {"todo.at": {"$lt": rfc3339(before.astimezone(UTC))}}
        pending = self._resources.find_many(kind, query, limit=BATCH_SIZE)
        return sum(self._resume(kind, document, context) for document in pending)

    def _resume(
        self, kind: str, document: Document, context: Callable[[Identity], RequestContext]
    ) -> bool:
        """Run one follow-up; return False if it failed and remains pending."""
        key, marker = document["_id"], document["todo"]
        parties = marker.get("parties")
        identity = Identity(
            "server",
            key.partition(":")[0],
            None if parties is None else frozenset(parties),
        )
        old = marker["old"] and {**marker["old"], "id": document["id"]}
        new = resource_of(document) if document["tenant"] != DELETED_TENANT else None
        try:
            self.run(identity, context(identity), kind, (key, marker["rev"]), (old, new))
        except Unavailable:
            raise
        except TmfError as error:
            log.warning(
                "a follow-up remains pending",
                extra={"kind": kind, "resource": document["id"], "error": str(error)},
            )
            return False
        return True
