"""Resource policies of product ordering (TMF622) and service ordering (TMF641)."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from tmf_apis.ordering import product_orders, rules, service_orders
from tmf_apis.ordering.actions import (
    PRODUCT_ORDER_CANCELLATION,
    SERVICE_ORDER_CANCELLATION,
    OrderCancellation,
)
from tmf_apis.ordering.model import (
    CancelProductOrder,
    CancelServiceOrder,
    ProductOrder,
    ServiceOrder,
)
from tmf_apis.ordering.order_schema import (
    PRODUCT_ORDER_SCHEMA,
    SERVICE_ORDER_SCHEMA,
    OrderSchema,
)
from tmf_apis.ordering.party_restrictions import (
    CANCELLATION_RULES,
    PRODUCT_ORDER_RULES,
    SERVICE_ORDER_RULES,
)
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.party_rules import PartyRules
from tmf_apis.rest.pipeline.policy import (
    ApiModule,
    DryRun,
    PolicyCheck,
    Resource,
    ResourcePolicy,
)
from tmf_apis.settings import Settings

#: Attributes of a service order that only the server sets.
_SERVICE_ORDER_SERVER_OWNED = frozenset(
    {"orderDate", "startDate", "completionDate", "cancellationDate", "errorMessage"}
)


def api_module(settings: Settings, *, dry_run: DryRun | None = None) -> ApiModule:  # noqa: ARG001
    """Return the API module of product ordering (TMF622).

    Args:
        settings: The operator's settings.
        dry_run: Forecasts the fulfilment of an order; None: orders have no dry run.
    """
    cancellation_policy = _cancellation_policy(
        PRODUCT_ORDER_CANCELLATION,
        server_owned=frozenset({"creationDate", "effectiveCancellationDate"}),
        parties=product_orders.task_parties,
    )
    return ApiModule(
        number="TMF622",
        policies={
            "ProductOrder": _order_policy(
                PRODUCT_ORDER_SCHEMA,
                server_owned=frozenset({"creationDate"}),
                check=product_orders.check_offerings,
                parties=product_orders.parties,
                party_rules=PRODUCT_ORDER_RULES,
                dry_run=dry_run,
            ),
            "CancelProductOrder": replace(
                cancellation_policy, on_create=product_orders.on_create_cancellation
            ),
        },
        models=(ProductOrder, CancelProductOrder),
    )


def service_api_module(settings: Settings, *, dry_run: DryRun | None = None) -> ApiModule:  # noqa: ARG001
    """Return the API module of service ordering (TMF641).

    Args:
        settings: The operator's settings.
        dry_run: Forecasts the fulfilment of an order; None: orders have no dry run.
    """
    return ApiModule(
        number="TMF641",
        policies={
            "ServiceOrder": _order_policy(
                SERVICE_ORDER_SCHEMA,
                server_owned=_SERVICE_ORDER_SERVER_OWNED,
                check=service_orders.check_services,
                parties=service_orders.parties,
                party_rules=SERVICE_ORDER_RULES,
                dry_run=dry_run,
            ),
            "CancelServiceOrder": _cancellation_policy(
                SERVICE_ORDER_CANCELLATION,
                server_owned=frozenset({"effectiveCancellationDate"}),
                parties=party_ids,
            ),
        },
        models=(ServiceOrder, CancelServiceOrder),
    )


def _order_policy(  # noqa: PLR0913
    schema: OrderSchema,
    *,
    server_owned: frozenset[str],
    check: PolicyCheck,
    parties: Callable[[Resource], Iterable[str]],
    party_rules: PartyRules,
    dry_run: DryRun | None,
) -> ResourcePolicy:
    return ResourcePolicy(
        lifecycle=schema.lifecycle,
        dry_run=dry_run,
        server_owned=server_owned,
        on_create=partial(rules.on_create, schema=schema),
        on_change=partial(rules.on_change, schema=schema),
        on_delete=partial(rules.on_delete, schema=schema),
        check=check,
        parties=parties,
        party_holders=frozenset({schema.item_schema.items_attribute, schema.subject}),
        party_rules=party_rules,
        extra_events=partial(rules.extra_events, schema=schema),
        ignored_parts={schema.item_schema.items_attribute: frozenset({"state"})},
    )


def _cancellation_policy(
    cancellation: OrderCancellation,
    *,
    server_owned: frozenset[str],
    parties: Callable[[Resource], Iterable[str]],
) -> ResourcePolicy:
    return ResourcePolicy(
        lifecycle=cancellation.schema.cancel_task_lifecycle,
        server_owned=server_owned,
        handle=cancellation.cancel,
        run_in_background=cancellation.assess,
        parties=parties,
        party_rules=CANCELLATION_RULES,
    )
