"""NETCONF elements (RFC 6241): every change is one commit, and can be a confirmed one."""

from adapters.netconf.element import NetconfElement

__all__ = ["NetconfElement"]
