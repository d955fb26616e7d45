"""Reconciliation of inventory and network: discovery, audits and remedies."""
