"""Fulfilment put together for a worker."""

from concurrent.futures import Executor
from datetime import timedelta

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
from tmf_apis.fulfilment.execution.provisioning import Provisioner
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase


class Fulfilment:
    """All of it.

    Attributes:
        activities: The steps for Temporal.
        journal: What was done.
        cancellation_resolver: Ends requests to cancel whose order nobody works on.
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
        """Put it together.

        Args:
            database: Where the journal is.
            repositories: Give access to the resources.
            connections: Give access to the elements.
            executor: Where the database is waited for.
            settings: The configuration.
            task_queue: From which only this worker takes steps; empty: there is none.
        """
        self.journal = journal = Journal(database)
        claims = Claims(database)
        hold = timedelta(seconds=settings.reservation_time)
        settling = BatchCommitter(repositories, journal, claims, hold)
        provisioning = Provisioner(
            journal, connections, executor, confirm=settings.fulfilment_confirm
        )
        self.cancellation_resolver = CancellationResolver(repositories, journal, settling)
        self.activities = OrderActivities(
            OrderIntake(repositories, journal, claims, settling, OrderDesigner()),
            BatchRunner(repositories, journal, provisioning, settling, executor, settings),
            self.cancellation_resolver,
            RepeatedFailureReporter(repositories),
            executor,
            task_queue,
        )

    def create_indexes(self) -> None:
        """Make the indexes."""
        self.journal.create_indexes()
