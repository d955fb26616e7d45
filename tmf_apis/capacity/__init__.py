"""Capacity: network utilisation, exhaustion forecasts and threshold alarms."""

from tmf_apis.capacity.reports import api_module

__all__ = ["api_module"]
