"""What really goes through a port of the lab's gateway."""

import re
import time

from adapters.lab.gateway import SnmpLab
from adapters.lab.network import LabError


def measure_throughput(
    lab: SnmpLab, port: str, *, upstream: bool = False, seconds: int = 1
) -> float:
    """Return what really goes through a port, in bits per second, measured by iperf3.

    Raises:
        LabError: There is no iperf3, or it fails.
    """
    lab.network.run(lab.network.core, "iperf3", "-s", "-1", "-D", "-p", "5201")
    time.sleep(0.1)
    way = () if upstream else ("-R",)
    client = ("iperf3", "-c", "198.18.0.2", "-t", str(seconds), "-f", "k", *way)
    said = lab.network.run(lab.network.customers[port], *client)
    if found := re.search(r"([\d.]+) Kbits/sec\s+receiver", said):
        return float(found[1]) * 1000
    raise LabError(f"iperf3: {said}")
