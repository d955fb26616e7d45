"""TMF622 and TMF641: what orders for products and for services are allowed to do."""

from collections.abc import Callable

from tmf_apis.ordering import actions, rules, services
from tmf_apis.ordering.model import (
    CancelProductOrder,
    CancelServiceOrder,
    ProductOrder,
    ServiceOrder,
)
from tmf_apis.ordering.states import ORDER, TASK, machines
from tmf_apis.rest.law import Desk, Law, Resource, Room
from tmf_apis.settings import Settings

__all__ = ["ROOM", "machines", "room", "service_room"]


def room(
    settings: Settings,  # noqa: ARG001
    *,
    assess: Callable[[Desk, Resource], None] = actions.assess,
) -> Room:
    """Return the room.

    Args:
        settings: The operator's settings.
        assess: Decides on the cancellation of an order that is being worked on.
    """
    return Room(
        number="TMF622",
        laws={
            "ProductOrder": Law(
                lifecycle=ORDER,
                server_owned=frozenset({"creationDate"}),
                on_create=rules.on_create,
                on_change=rules.on_change,
                on_delete=rules.on_delete,
                check=actions.check_offerings,
                parties=rules.parties,
                news=rules.news,
            ),
            "CancelProductOrder": Law(
                lifecycle=TASK,
                server_owned=frozenset({"creationDate", "effectiveCancellationDate"}),
                on_create=rules.on_create_cancellation,
                act=actions.cancel,
                begin=assess,
                parties=rules.task_parties,
            ),
        },
        models=(ProductOrder, CancelProductOrder),
    )


def service_room(settings: Settings) -> Room:  # noqa: ARG001
    """Return the room of service orders."""
    return Room(number="TMF641", laws=services.laws(), models=(ServiceOrder, CancelServiceOrder))


#: The room as it is without settings of its own.
ROOM = room(Settings())
