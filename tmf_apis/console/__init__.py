"""The web pages: the index, one page per API, and administration."""

from tmf_apis.console.page_context import PageContext
from tmf_apis.console.pages import ConsoleApplication

__all__ = ["ConsoleApplication", "PageContext"]
