"""Adapter for Ethernet switches with an OVSDB management interface (Open vSwitch)."""

from adapters.ovsdb.element import OvsdbSwitch

__all__ = ["OvsdbSwitch"]
