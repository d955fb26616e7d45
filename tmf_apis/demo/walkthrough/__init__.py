"""``tmf demo``: the life of a service, told step by step, everything over HTTP."""

from tmf_apis.demo.walkthrough.runner import run_walkthrough

__all__ = ["run_walkthrough"]
