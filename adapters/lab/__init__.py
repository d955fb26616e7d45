"""Real network elements on one Linux machine, for tests, benchmarks and the demo only.

The package is not part of the product: nothing but ``tests``, ``benchmarks`` and ``tmf_apis.demo``
may import it (``tests/unit/test_docs.py`` checks this).

``SnmpLab`` is a broadband gateway: snmpd in a network namespace, shaped by tc. It needs root and
the Debian packages snmpd and iproute2, and iperf3 for measurements. ``lab_unavailable_reason``
returns what is missing. The other elements are in ``netconf``, ``switch`` and ``hlr``.
"""

from adapters.lab.gateway import SnmpLab
from adapters.lab.network import LabError, lab_unavailable_reason

__all__ = ["LabError", "SnmpLab", "lab_unavailable_reason"]
