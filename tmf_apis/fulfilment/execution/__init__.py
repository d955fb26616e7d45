"""Carrying a design out on the network, step by step, and taking it back."""
