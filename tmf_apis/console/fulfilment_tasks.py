"""The tasks of orders over HTTP: settings before and after, for administrators of a tenant."""

from flask import Blueprint, Response

from tmf_apis.console.admin import PAGE_PARAMETERS, AdminViews, with_time_limit
from tmf_apis.console.page_context import PageContext
from tmf_apis.errors import InvalidQuery, NotFound, quoted, shortened
from tmf_apis.fulfilment.execution.journal_sealing import JournalSealer
from tmf_apis.fulfilment.execution.task_reports import TaskReader
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.ordering.order_schema import ORDER_SCHEMAS


def blueprint(context: PageContext) -> Blueprint:
    """Return the route ``/admin/fulfilment-tasks``."""
    pages = Blueprint("fulfilment_tasks", __name__, url_prefix="/admin/fulfilment-tasks")
    view = FulfilmentTaskViews(context).list_tasks
    pages.add_url_rule("", view.__name__, with_time_limit(context, view), methods=["GET"])
    return pages


class FulfilmentTaskViews(AdminViews):
    """The view of the tasks; an administrator sees those of its own tenant."""

    def list_tasks(self) -> Response:
        """GET /admin/fulfilment-tasks?order=ID: the tasks of an order, in order of execution."""
        engine, identity, parameters = self._authorize("order", "kind", *PAGE_PARAMETERS)
        order, kind = parameters.get("order", ""), parameters.get("kind", "ProductOrder")
        if not order:
            raise InvalidQuery("order: the id of the order is missing")
        if kind not in ORDER_SCHEMAS:
            raise InvalidQuery(f"kind {quoted(kind)}: expected {' or '.join(ORDER_SCHEMAS)}")
        page = self._page(parameters)
        table = engine.personal_attributes
        encrypt = self._context.settings.encryption
        sealer = JournalSealer(engine.data_keys, table, encrypt=encrypt)
        reader = TaskReader(engine.database, sealer, table, identity.sees_personal_data)
        key = OrderKey(identity.tenant, order, kind)
        result = reader.read(key, limit=page.limit or 1, offset=page.offset)
        if result is None:
            raise NotFound(f"there are no tasks of {kind} {shortened(order)}")
        engine.audit_log.record(identity, "read", kind="FulfilmentTask", resource=order)
        reports, total = result
        return self._list_response(reports, page, total)
