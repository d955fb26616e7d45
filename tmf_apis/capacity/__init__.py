"""How full the network is, how long the rest lasts, and the alarm before it does not."""

from tmf_apis.capacity.reports import api_module

__all__ = ["api_module"]
