"""Verification by effect: what the customer gets, not what the element says.

A test head stands at the customer's side of a port: an iperf3 server of a CPE or of a probe
(Broadband Forum TR-143 has the same idea). Its address is data of the port. We connect to it
through the port, and measure what goes through.
"""

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.errors import Misconfigured, Unreachable, Unsupported
from adapters.values import Intent, Setting, Target, Verdict

#: Options of a target. ``testAddress``: "host:port" of the test head, or several with ports of
#: the element before them ("sub1=host:port sub2=host:port"). ``testFloor``, ``testCeiling``: the
#: shares of a rate between which a measured one is good.
OPTIONS = frozenset({"testAddress", "testFloor", "testCeiling"})
IPERF3_PORT = 5201
#: What goes over the ceiling goes over the limit that was sold; less than the rate may have
#: many causes along the way that are not the element's.
FLOOR, CEILING = 0.5, 1.08
TEST_SECONDS = 1
RESULT_TIMEOUT = 5.0  # seconds beyond the measured ones
CONNECT_TIMEOUT = 2.0  # seconds to connect
MAX_ATTEMPTS = 3
#: What iperf3 says where asking again is of no use.
UNREACHABLE_MESSAGES = ("timed out", "unreachable", "No route")
REACHABLE = "reachable"
#: We are the client, on the network's side: what we send is downstream.
DIRECTION_OPTIONS = {"downstream": (), "upstream": ("--reverse",)}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Between which shares of a rate a measured one is good.

    Attributes:
        floor: Share of the rate that must be reached.
        ceiling: Share of the rate that must not be passed.
    """

    floor: float = FLOOR
    ceiling: float = CEILING

    def effective_rate(self, rate: int, measured: int) -> int:
        """Return the rate where the measured one will do, or else the measured one.

        >>> Tolerance().effective_rate(100_000_000, 95_700_000)
        100000000
        >>> Tolerance().effective_rate(100_000_000, 109_000_000)
        109000000
        """
        return rate if rate * self.floor <= measured <= rate * self.ceiling else measured


def tolerance(target: Target) -> Tolerance:
    """Return the limits that a target's options set.

    Raises:
        Misconfigured: They are not numbers, or the wrong way round.
    """
    try:
        found = Tolerance(
            float(target.options.get("testFloor", FLOOR)),
            float(target.options.get("testCeiling", CEILING)),
        )
    except ValueError as error:
        raise Misconfigured(target.name, f"testFloor or testCeiling: {error}") from error
    if not 0 <= found.floor <= found.ceiling:
        raise Misconfigured(target.name, "testFloor must be from 0 to testCeiling")
    return found


def head_address(target: Target, port: str) -> str:
    """Return where the test head of a port is; empty where none is known.

    >>> head_address(Target("gw", "", options={"testAddress": "a=10.0.0.1:5201 b=10.0.0.2"}), "b")
    '10.0.0.2'
    """
    for word in target.options.get("testAddress", "").split():
        name, equals, place = word.rpartition("=")
        if not equals or name == port:
            return place
    return ""


async def measure(target: Target, intent: Intent, head: str = "") -> Verdict:
    """Return whether the customer gets what an intent asks for; at most some three seconds.

    ``observed`` also has what was measured: "measuredDownstream", "measuredUpstream" in bits per
    second.

    Args:
        target: The element; for its options.
        intent: How the service shall be; of its settings, "enabled" and the rates are looked at.
        head: "host:port" of the test head; empty: as the options say.

    Raises:
        Unsupported: There is no verdict; the reason is "noTestHead" (no address is known),
            "noIperf3" (it is not installed here) or "nothingToMeasure".
        Unreachable: The test head is busy, or does not do what one does; try again.
        Misconfigured: Address or options are not usable.
    """
    name = target.name
    place, bounds = head or head_address(target, intent.port), tolerance(target)
    if not intent.present:
        raise Unsupported(name, "a service that is gone has no effect", reason="nothingToMeasure")
    if not place:
        message = f"no test head behind {intent.port}: not measured"
        raise Unsupported(name, message, path=intent.port, reason="noTestHead")
    try:
        host, port = Target(name, place).endpoint(IPERF3_PORT)
    except ValueError as error:
        raise Misconfigured(name, f"test head {place!r}: {error}") from error
    found = _TestHead(name, (host, port), bounds)
    if intent.settings.get("enabled", True) is False:
        return await found.verify_unreachable()
    return await found.verify_rates(intent)


@dataclass(frozen=True, slots=True)
class _TestHead:
    element: str
    endpoint: tuple[str, int]
    tolerance: Tolerance

    async def verify_unreachable(self) -> Verdict:
        """Return whether nobody gets through, as for a service that is suspended."""
        reached = await is_reachable(*self.endpoint)
        return self._verdict({REACHABLE: False}, {REACHABLE: reached})

    async def verify_rates(self, intent: Intent) -> Verdict:
        """Return whether somebody gets through, and as much as was asked for."""
        expected: dict[str, Setting] = {REACHABLE: True}
        observed: dict[str, Setting] = {REACHABLE: True}
        rates = {name: intent.settings.get(name, 0) for name in DIRECTION_OPTIONS}
        wanted = {name: rate for name, rate in rates.items() if isinstance(rate, int) and rate > 0}
        if not wanted:
            observed[REACHABLE] = await is_reachable(*self.endpoint)
        for direction, rate in wanted.items():
            try:
                measured = await measure_throughput(self.element, self.endpoint, direction)
            except Unreachable:
                if await is_reachable(*self.endpoint):
                    raise
                observed[REACHABLE] = False
                break
            expected[direction] = rate
            observed[direction] = self.tolerance.effective_rate(rate, measured)
            observed[f"measured{direction.capitalize()}"] = measured
        return self._verdict(expected, observed)

    def _verdict(self, expected: dict[str, Setting], observed: dict[str, Setting]) -> Verdict:
        return Verdict(self.element, expected, observed, datetime.now(UTC))


async def is_reachable(host: str, port: int) -> bool:
    """Return whether somebody at the far end answers a connection."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True  # the line works: somebody there said no
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def measure_throughput(element: str, endpoint: tuple[str, int], direction: str) -> int:
    """Return what goes through in one direction, in bits per second, measured by iperf3.

    Raises:
        Unsupported: There is no iperf3 here.
        Unreachable: The test head is busy, or does not answer as one.
    """
    program = shutil.which("iperf3")
    if program is None:
        message = "iperf3 is not installed here: the rate was not measured"
        raise Unsupported(element, message, path=direction, reason="noIperf3")
    host, port = endpoint
    command = (program, "--client", host, "--port", str(port), "--time", str(TEST_SECONDS), "--json",
               "--connect-timeout", str(int(CONNECT_TIMEOUT * 1000)), *DIRECTION_OPTIONS[direction])  # fmt: skip
    failure = ""
    for attempt in range(MAX_ATTEMPTS):
        await asyncio.sleep(attempt * TEST_SECONDS)  # a head does one test at a time
        said = await _run_iperf3(element, command)
        failure = str(said.get("error", ""))
        if not failure:
            return _received_rate(element, said)
        if any(word in failure for word in UNREACHABLE_MESSAGES):
            break
    raise Unreachable(element, f"the test head at {host}:{port}: {failure}")


async def _run_iperf3(element: str, command: tuple[str, ...]) -> Mapping[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(TEST_SECONDS + RESULT_TIMEOUT):
            output, _ = await process.communicate()
        said = json.loads(output)
    except TimeoutError as error:
        raise Unreachable(element, "the test head does not end its measurement") from error
    except ValueError as error:
        raise Unreachable(element, "iperf3 says nothing that can be read") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said if isinstance(said, dict) else {"error": "no result"}


def _received_rate(element: str, report: Mapping[str, Any]) -> int:
    try:
        return round(float(report["end"]["sum_received"]["bits_per_second"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(element, f"iperf3 has no result: {error!r}") from error
