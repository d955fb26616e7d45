"""How full the network is, how long the rest lasts, and the alarm before it does not."""

from tmf_apis.capacity.reports import room

__all__ = ["room"]
