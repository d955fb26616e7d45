"""Requests and responses: routing, bodies, headers, handlers, the hub, bulk and monitors."""
