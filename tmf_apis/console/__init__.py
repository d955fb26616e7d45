"""Pages for people: the index, a page an API, and administration."""

from tmf_apis.console.pages import ConsoleApplication

__all__ = ["ConsoleApplication"]
