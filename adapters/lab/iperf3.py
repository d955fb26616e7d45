"""Throughput through a port of the gateway of the lab, measured by iperf3."""

import re
import time

from adapters.lab.gateway import SnmpLab
from adapters.lab.network import LabError


def measure_throughput(
    lab: SnmpLab, port: str, *, upstream: bool = False, seconds: int = 1
) -> float:
    """Return the throughput of a port, in bits per second, measured by iperf3.

    Raises:
        LabError: iperf3 is not installed, or it fails.
    """
    lab.network.run(lab.network.core, "iperf3", "-s", "-1", "-D", "-p", "5201")
    time.sleep(0.1)
    direction = () if upstream else ("-R",)
    client = ("iperf3", "-c", "198.18.0.2", "-t", str(seconds), "-f", "k", *direction)
    output = lab.network.run(lab.network.customers[port], *client)
    if match := re.search(r"([\d.]+) Kbits/sec\s+receiver", output):
        return float(match[1]) * 1000
    raise LabError(f"iperf3: {output}")
