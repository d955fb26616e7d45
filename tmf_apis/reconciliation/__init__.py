"""Inventory and network brought together: discovery, and audits with their remedies."""
