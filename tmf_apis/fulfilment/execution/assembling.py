"""Fulfilment put together for a worker."""

from concurrent.futures import Executor
from datetime import timedelta

from tmf_apis.elements.connections import Connections
from tmf_apis.fulfilment.execution.accepting import Accepting
from tmf_apis.fulfilment.execution.activities import Activities
from tmf_apis.fulfilment.execution.advancing import Advancing
from tmf_apis.fulfilment.execution.cancelling import Cancelling
from tmf_apis.fulfilment.execution.claims import Claims
from tmf_apis.fulfilment.execution.journal import Journal
from tmf_apis.fulfilment.execution.mistakes import Mistakes
from tmf_apis.fulfilment.execution.provisioning import Provisioning
from tmf_apis.fulfilment.execution.settling import Settling
from tmf_apis.rest.desk import Desks
from tmf_apis.settings import Settings
from tmf_apis.store.connection import Documents


class Fulfilment:
    """All of it.

    Attributes:
        activities: The steps for Temporal.
        journal: What was done.
        cancelling: Ends requests to cancel whose order nobody works on.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        database: Documents,
        desks: Desks,
        connections: Connections,
        threads: Executor,
        settings: Settings,
        queue: str = "",
    ) -> None:
        """Put it together.

        Args:
            database: Where the journal is.
            desks: Give access to the resources.
            connections: Give access to the elements.
            threads: Where the database is waited for.
            settings: The configuration.
            queue: From which only this worker takes steps; empty: there is none.
        """
        self.journal = journal = Journal(database)
        claims = Claims(database)
        hold = timedelta(seconds=settings.reservation_time)
        settling = Settling(desks, journal, claims, hold)
        provisioning = Provisioning(
            journal, connections, threads, confirm=settings.fulfilment_confirm
        )
        self.cancelling = Cancelling(desks, journal, settling)
        self.activities = Activities(
            Accepting(desks, journal, claims, settling),
            Advancing(desks, journal, provisioning, settling, threads, settings),
            self.cancelling,
            Mistakes(desks),
            threads,
            queue,
        )

    def prepare(self) -> None:
        """Make the indexes."""
        self.journal.prepare()
