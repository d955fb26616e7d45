"""Composition of the fulfilment components for a worker."""

from concurrent.futures import Executor
from datetime import timedelta
from functools import partial

from tmf_apis.element_access.connections import Connections
from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.fulfilment.execution.activities import OrderActivities
from tmf_apis.fulfilment.execution.batch_committer import BatchCommitter
from tmf_apis.fulfilment.execution.batch_runner import BatchRunner
from tmf_apis.fulfilment.execution.cancellation import CancellationResolver
from tmf_apis.fulfilment.execution.claims import Claims
from tmf_apis.fulfilment.execution.failure_reporter import RepeatedFailureReporter
from tmf_apis.fulfilment.execution.intake import OrderIntake
from tmf_apis.fulfilment.execution.journal import Journal
from tmf_apis.fulfilment.execution.journal_sealing import JournalSealer
from tmf_apis.fulfilment.execution.order_queue import OrderQueue
from tmf_apis.fulfilment.execution.provisioning import Provisioner
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.security.master_keys import load_provider
from tmf_apis.security.personal_attributes import PersonalAttributes
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase
from tmf_apis.store.data_keys import DataKeys


class Fulfilment:
    """The fulfilment components of one worker.

    Attributes:
        activities: The Temporal activities.
        journal: The record of planned and completed work.
        cancellation_resolver: Answers requests to cancel.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        database: MongoDatabase,
        repositories: RepositoryFactory,
        connections: Connections,
        executor: Executor,
        settings: Settings,
        task_queue: str = "",
    ) -> None:
        """Create the components.

        Args:
            database: The database of the journal and the claims.
            repositories: Give access to the resources.
            connections: Give access to the elements.
            executor: Runs blocking database calls.
            settings: The configuration.
            task_queue: Queue from which only this worker takes activities; empty if there is none.
        """
        sealer = JournalSealer(
            DataKeys(database, partial(load_provider, settings)),
            PersonalAttributes.from_settings(settings),
            encrypt=settings.encryption,
        )
        self.journal = journal = Journal(database, sealer)
        claims = Claims(database)
        queue = OrderQueue(repositories, journal, claims)
        reservation_time = timedelta(seconds=settings.reservation_time)
        committer = BatchCommitter(
            repositories, journal, claims, reservation_time,
            has_parties=settings.is_authentication_required,
        )  # fmt: skip

        def read_element(tenant: str, id: str) -> Resource | None:
            return get_or_none(repositories.for_tenant(tenant), "Resource", id)

        provisioner = Provisioner(
            journal, connections, read_element, executor, confirm=settings.fulfilment_confirm
        )
        self.cancellation_resolver = CancellationResolver(repositories, journal, committer)
        self.activities = OrderActivities(
            OrderIntake(repositories, journal, queue, committer, OrderDesigner()),
            BatchRunner(repositories, journal, provisioner, committer, executor, settings),
            self.cancellation_resolver,
            RepeatedFailureReporter(repositories),
            executor,
            task_queue,
        )

    def create_indexes(self) -> None:
        """Create the indexes of the journal."""
        self.journal.create_indexes()
