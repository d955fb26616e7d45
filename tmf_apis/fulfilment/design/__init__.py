"""Designing an order: from catalogue and inventory to the tasks that fulfil it."""
