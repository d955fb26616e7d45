"""TMF622 and TMF641: orders for products and for services, and tasks that cancel them."""

from tmf_apis.ordering.policies import api_module, service_api_module
from tmf_apis.ordering.states import state_machines

__all__ = ["api_module", "service_api_module", "state_machines"]
