"""A pass_persist agent of snmpd with the rates of the gateway's ports, which it shapes with tc.

It needs nothing but the standard library. The table .1.3.6.1.4.1.64999.1.1.1.COLUMN.IFINDEX has one
row for each port whose name begins with "sub":

    1  svcIfName    OCTET STRING  read-only
    2  svcDownKbps  Gauge32       read-write  rate towards the customer, 0 = no limit
    3  svcUpKbps    Gauge32       read-write  rate from the customer, 0 = no limit
    4  svcTxBytes   Counter64     read-only   octets sent to the customer under a limit
    5  svcTxDrops   Counter32     read-only   packets dropped by the limit

The file named on the command line injects a fault. "refuse COLUMN" refuses to set the column. "hang
COLUMN" makes the agent hang when the column is set, until the content of the file changes; it then
sets the column.

Source: snmpd.conf(5), MIB-Specific Extension Commands.
"""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

TABLE_OID = (1, 3, 6, 1, 4, 1, 64999, 1, 1, 1)
IF_NAME, DOWN_KBPS, UP_KBPS, TX_BYTES, TX_DROPS = 1, 2, 3, 4, 5
COLUMNS = (IF_NAME, DOWN_KBPS, UP_KBPS, TX_BYTES, TX_DROPS)
COLUMN_TYPES = {
    IF_NAME: "string",
    DOWN_KBPS: "gauge",
    UP_KBPS: "gauge",
    TX_BYTES: "counter64",
    TX_DROPS: "counter",
}
MAX_KBPS = 10_000_000
RATE_UNITS = {"": 1, "K": 1000, "M": 1_000_000, "G": 1_000_000_000}
TC_CLASS_PATTERN = re.compile(
    r"class htb 1:10 .*?rate (\d+)([KMG]?)bit.*?Sent (\d+) bytes \d+ pkt \(dropped (\d+)", re.DOTALL
)

#: Pause between two checks of a hanging agent for the end of the fault, in seconds.
POLL_INTERVAL = 0.05

Oid = tuple[int, ...]


def run(*command: str, check: bool = True) -> str:
    """Run a command and return its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=check)  # noqa: S603
    return done.stdout


def access_ports() -> dict[int, str]:
    """Return the names of the access ports by ifIndex."""
    return {index: name for index, name in socket.if_nameindex() if name.startswith("sub")}


def shaper_statistics(device: str) -> tuple[int, int, int]:
    """Return rate in bit/s, octets and drops of the shaper of a device; zeros if it has none."""
    match = TC_CLASS_PATTERN.search(run("tc", "-s", "class", "show", "dev", device, check=False))
    if match is None:
        return 0, 0, 0
    rate, unit, octets, drops = match.groups()
    return int(rate) * RATE_UNITS[unit], int(octets), int(drops)


def read_column(column: int, name: str) -> object:
    """Return the value of a column of a port."""
    if column == IF_NAME:
        return name
    rate, octets, drops = shaper_statistics(ifb_device(name) if column == UP_KBPS else name)
    return {DOWN_KBPS: rate // 1000, UP_KBPS: rate // 1000, TX_BYTES: octets, TX_DROPS: drops}[
        column
    ]


def ifb_device(name: str) -> str:
    """Return the name of the ifb device that shapes the received traffic of a port."""
    return f"i{name}"


def limit_rate(device: str, kbps: int) -> None:
    """Limit the rate at which a device sends; 0 removes the limit."""
    if kbps == 0:
        run("tc", "qdisc", "del", "dev", device, "root", check=False)
        return
    if shaper_statistics(device)[0] == 0:
        run("tc", "qdisc", "replace", "dev", device, "root", "handle", "1:", "htb", "default", "10")
    rate = f"{kbps}kbit"
    run(
        "tc", "class", "replace", "dev", device, "parent", "1:", "classid", "1:10",
        "htb", "rate", rate, "ceil", rate,
    )  # fmt: skip


def redirect_ingress(name: str) -> str:
    """Redirect the received traffic of a port to its ifb device and return that device."""
    device = ifb_device(name)
    if device not in {existing for _, existing in socket.if_nameindex()}:
        run("ip", "link", "add", device, "type", "ifb")
        run("ip", "link", "set", device, "up")
        run("tc", "qdisc", "add", "dev", name, "handle", "ffff:", "ingress")
        run(
            "tc", "filter", "add", "dev", name, "parent", "ffff:", "protocol", "all",
            "u32", "match", "u32", "0", "0",
            "action", "mirred", "egress", "redirect", "dev", device,
        )  # fmt: skip
    return device


def is_fault_injected(fault: str, column: int) -> bool:
    """Return whether the file named on the command line injects a fault into a column."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    return file is not None and file.exists() and file.read_text("utf-8") == f"{fault} {column}"


def set_error(column: int, type_name: str) -> str:
    """Return the error of snmpd for setting a column; empty if the column can be set."""
    if column not in {DOWN_KBPS, UP_KBPS}:
        return "not-writable"
    if type_name not in {"gauge", "unsigned"}:
        return "wrong-type"
    while is_fault_injected("hang", column):
        time.sleep(POLL_INTERVAL)
    return "inconsistent-value" if is_fault_injected("refuse", column) else ""


def write_variable(oid: Oid, type_name: str, text: str) -> str:
    """Set a variable and return the answer for snmpd: "DONE" or an error."""
    column, index = oid[len(TABLE_OID) :] if len(oid) == len(TABLE_OID) + 2 else (0, 0)
    name = access_ports().get(index)
    if name is None or column not in COLUMNS:
        return "no-creation"
    if error_name := set_error(column, type_name):
        return error_name
    kbps = int(text)
    if not 0 <= kbps <= MAX_KBPS:
        return "wrong-value"
    try:
        if column == DOWN_KBPS:
            limit_rate(name, kbps)
        else:
            limit_rate(redirect_ingress(name) if kbps else ifb_device(name), kbps)
    except (subprocess.CalledProcessError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return "inconsistent-value"
    return "DONE"


def find_instance(oid: Oid, *, after: bool) -> tuple[Oid, int, str] | None:
    """Return the instance with an object identifier, or the first one after it."""
    rows = sorted(access_ports().items())
    for column in COLUMNS:
        for index, name in rows:
            instance = (*TABLE_OID, column, index)
            if instance > oid if after else instance == oid:
                return instance, column, name
    return None


def respond(command: str, source: TextIO) -> str:
    """Return the answer to a command, whose arguments are read from ``source``."""
    if command == "PING":
        return "PONG"
    oid = tuple(int(arc) for arc in source.readline().strip().strip(".").split("."))
    if command == "set":
        type_name, _, text = source.readline().strip().partition(" ")
        return write_variable(oid, type_name, text.strip('"'))
    match = find_instance(oid, after=command == "getnext")
    if match is None:
        return "NONE"
    instance, column, name = match
    dotted = "." + ".".join(map(str, instance))
    return "\n".join((dotted, COLUMN_TYPES[column], str(read_column(column, name))))


def main() -> None:
    """Answer the commands of snmpd until it closes the pipe.

    An empty line should end the agent, but snmpd 5.9 sends one after each SET. It would then start
    the agent again after each SET, and refuse a SET that arrives in between.
    """
    while line := sys.stdin.readline():
        if command := line.strip():
            sys.stdout.write(respond(command, sys.stdin) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
