"""The SNMP wire format: encoding, messages and the user-based security model."""
