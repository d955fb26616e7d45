"""Traps and polling to alarms."""
