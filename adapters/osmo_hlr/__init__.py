"""Adapter for OsmoHLR, a home location register: CTRL and VTY provision, GSUP verifies."""

from adapters.osmo_hlr.element import OsmoHlr

__all__ = ["OsmoHlr"]
