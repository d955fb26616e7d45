"""SNMP on the wire: encoding, messages and the user-based security model."""
