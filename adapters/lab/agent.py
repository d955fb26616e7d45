"""The bandwidth profiles of a gateway's ports, for snmpd's pass_persist; real shaping by tc.

Runs with nothing but the standard library. The table .1.3.6.1.4.1.64999.1.1.1.COLUMN.IFINDEX has
one row a port that is called sub...:

    1  svcIfName    OCTET STRING  read-only
    2  svcDownKbps  Gauge32       read-write  rate towards the customer, 0 = no limit
    3  svcUpKbps    Gauge32       read-write  rate from the customer, 0 = no limit
    4  svcTxBytes   Counter64     read-only   octets sent to the customer under a limit
    5  svcTxDrops   Counter32     read-only   packets dropped by the limit

A file that is named on the command line makes it misbehave: "refuse COLUMN" refuses to set that
column; "hang COLUMN" says nothing any more from then on until the file says something else, and
does then what it was asked.

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

#: How often a hanging agent looks whether it still shall, in seconds.
POLL_INTERVAL = 0.05

Oid = tuple[int, ...]


def run(*command: str, check: bool = True) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=check)  # noqa: S603
    return done.stdout


def access_ports() -> dict[int, str]:
    """Return ifIndex -> name of the ports with a profile; others come and go (ifb, ...)."""
    return {index: name for index, name in socket.if_nameindex() if name.startswith("sub")}


def shaper_statistics(device: str) -> tuple[int, int, int]:
    """Return rate in bit/s, octets and drops of a device's limit; zeros if it has none."""
    found = TC_CLASS_PATTERN.search(run("tc", "-s", "class", "show", "dev", device, check=False))
    if found is None:
        return 0, 0, 0
    rate, unit, octets, drops = found.groups()
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
    """Return the device through which what a port receives is shaped."""
    return f"i{name}"


def limit_rate(device: str, kbps: int) -> None:
    """Limit what a device sends; 0 lifts the limit."""
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
    """Lead what a port receives through a device of its own and return that device."""
    device = ifb_device(name)
    if device not in {known for _, known in socket.if_nameindex()}:
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
    """Return whether the file that the command line names wants this misbehaviour."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    return file is not None and file.exists() and file.read_text("utf-8") == f"{fault} {column}"


def set_error(column: int, type_name: str) -> str:
    """Return why a column is not set, in snmpd's word; empty: it may be."""
    if column not in {DOWN_KBPS, UP_KBPS}:
        return "not-writable"
    if type_name not in {"gauge", "unsigned"}:
        return "wrong-type"
    while is_fault_injected("hang", column):
        time.sleep(POLL_INTERVAL)
    return "inconsistent-value" if is_fault_injected("refuse", column) else ""


def write_variable(oid: Oid, type_name: str, text: str) -> str:
    """Set a variable and return snmpd's word for how it went."""
    column, index = oid[len(TABLE_OID) :] if len(oid) == len(TABLE_OID) + 2 else (0, 0)
    name = access_ports().get(index)
    if name is None or column not in COLUMNS:
        return "no-creation"
    if why := set_error(column, type_name):
        return why
    kbps = int(text)
    if not 0 <= kbps <= MAX_KBPS:
        return "wrong-value"
    try:
        limit_rate(
            redirect_ingress(name)
            if column == UP_KBPS and kbps
            else name
            if column == DOWN_KBPS
            else ifb_device(name),
            kbps,
        )
    except (subprocess.CalledProcessError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return "inconsistent-value"
    return "DONE"


def find_instance(oid: Oid, *, after: bool) -> tuple[Oid, int, str] | None:
    """Return the instance at an object identifier, or the first one after it."""
    rows = sorted(access_ports().items())
    for column in COLUMNS:
        for index, name in rows:
            full = (*TABLE_OID, column, index)
            if full > oid if after else full == oid:
                return full, column, name
    return None


def respond(command: str, source: TextIO) -> str:
    """Return the answer to one command, whose further lines are read from ``source``."""
    if command == "PING":
        return "PONG"
    oid = tuple(int(arc) for arc in source.readline().strip().strip(".").split("."))
    if command == "set":
        kind, _, text = source.readline().strip().partition(" ")
        return write_variable(oid, kind, text.strip('"'))
    found = find_instance(oid, after=command == "getnext")
    if found is None:
        return "NONE"
    full, column, name = found
    return "\n".join(
        ("." + ".".join(map(str, full)), COLUMN_TYPES[column], str(read_column(column, name)))
    )


def main() -> None:
    """Answer snmpd until it closes the pipe.

    An empty line should end the agent, but snmpd 5.9 sends one after each SET: an agent that obeys
    is started anew for each SET, and now and then one is refused that fell into the gap.
    """
    while line := sys.stdin.readline():
        if command := line.strip():
            sys.stdout.write(respond(command, sys.stdin) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
