"""The mobile subscriber register of Osmocom: provisioned over CTRL and VTY, proved over GSUP."""

from adapters.osmo_hlr.element import OsmoHlr

__all__ = ["OsmoHlr"]
