"""Fault management: alarms from SNMP notifications, polling and unreachable elements."""
