"""TMF622 and TMF641: what orders for products and for services are allowed to do."""

from collections.abc import Callable

from tmf_apis.ordering import actions, rules, service_orders
from tmf_apis.ordering.model import (
    CancelProductOrder,
    CancelServiceOrder,
    ProductOrder,
    ServiceOrder,
)
from tmf_apis.ordering.states import CANCEL_TASK_LIFECYCLE, ORDER_LIFECYCLE, state_machines
from tmf_apis.rest.pipeline.policy import ApiModule, Repository, Resource, ResourcePolicy
from tmf_apis.settings import Settings

__all__ = ["API_MODULE", "api_module", "service_api_module", "state_machines"]


def api_module(
    settings: Settings,  # noqa: ARG001
    *,
    assess: Callable[[Repository, Resource], None] = actions.assess,
) -> ApiModule:
    """Return the room.

    Args:
        settings: The operator's settings.
        assess: Decides on the cancellation of an order that is being worked on.
    """
    return ApiModule(
        number="TMF622",
        policies={
            "ProductOrder": ResourcePolicy(
                lifecycle=ORDER_LIFECYCLE,
                server_owned=frozenset({"creationDate"}),
                on_create=rules.on_create,
                on_change=rules.on_change,
                on_delete=rules.on_delete,
                check=actions.check_offerings,
                parties=rules.parties,
                extra_events=rules.extra_events,
            ),
            "CancelProductOrder": ResourcePolicy(
                lifecycle=CANCEL_TASK_LIFECYCLE,
                server_owned=frozenset({"creationDate", "effectiveCancellationDate"}),
                on_create=rules.on_create_cancellation,
                handle=actions.cancel,
                run_in_background=assess,
                parties=rules.task_parties,
            ),
        },
        models=(ProductOrder, CancelProductOrder),
    )


def service_api_module(settings: Settings) -> ApiModule:  # noqa: ARG001
    """Return the room of service orders."""
    return ApiModule(
        number="TMF641",
        policies=service_orders.policies(),
        models=(ServiceOrder, CancelServiceOrder),
    )


#: The room as it is without settings of its own.
API_MODULE = api_module(Settings())
