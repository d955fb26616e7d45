"""Requests and answers: routing, bodies, headers, handlers, the hub, bulk and monitors."""
