"""``tmf demo``: the life cycle of a service, step by step over HTTP."""

from tmf_apis.demo.walkthrough.runner import run_walkthrough

__all__ = ["run_walkthrough"]
