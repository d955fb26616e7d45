"""A real broadband gateway on one Linux machine: snmpd in a network namespace, shaped by tc.

Needs root, and the Debian packages snmpd and iproute2; iperf3 to measure. ``available()`` says
what is missing.
"""

from adapters.lab.gateway import SnmpLab
from adapters.lab.network import LabError, lab_unavailable_reason

__all__ = ["LabError", "SnmpLab", "lab_unavailable_reason"]
