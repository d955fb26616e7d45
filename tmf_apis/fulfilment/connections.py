"""Where fulfilment finds its way to elements; see ``tmf_apis.elements.connections``."""

from tmf_apis.elements.connections import Connections

__all__ = ["Connections"]
