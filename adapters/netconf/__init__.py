"""Adapter for NETCONF elements (RFC 6241): each change is one commit, confirmed on request."""

from adapters.netconf.element import NetconfElement

__all__ = ["NetconfElement"]
