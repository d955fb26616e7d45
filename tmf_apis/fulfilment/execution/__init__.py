"""Execution of an order design on the network, and its compensation."""
