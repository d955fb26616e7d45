"""``tmf demo``: the life of a service, told step by step, everything over HTTP."""

from tmf_apis.demo.story.telling import tell

__all__ = ["tell"]
