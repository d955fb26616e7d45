"""Fulfilment of orders: design, reservation, execution on the network and cancellation."""
