"""A real broadband gateway on one Linux machine: snmpd in a network namespace, shaped by tc.

Needs root, and the Debian packages snmpd and iproute2; iperf3 to measure. ``available()`` says
what is missing.
"""

from adapters.lab.gateway import Lab
from adapters.lab.network import LabError, available

__all__ = ["Lab", "LabError", "available"]
