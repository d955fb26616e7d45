"""Pages for people: the index, a page an API, and administration."""

from tmf_apis.console.pages import Pages

__all__ = ["Pages"]
