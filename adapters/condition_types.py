"""Identifiers of the conditions and notifications that adapters report.

They are the object identifiers of the generic SNMP notifications, whatever the protocol of the
element. Source: RFC 3418 section 2 (snmpTraps), RFC 2863 (linkDown, linkUp).
"""

SNMP_TRAPS = "1.3.6.1.6.3.1.1.5"
COLD_START = f"{SNMP_TRAPS}.1"
WARM_START = f"{SNMP_TRAPS}.2"
LINK_DOWN = f"{SNMP_TRAPS}.3"
LINK_UP = f"{SNMP_TRAPS}.4"
AUTHENTICATION_FAILURE = f"{SNMP_TRAPS}.5"
