"""Verification of a service by its effect: the throughput that the customer gets.

A test head is an iperf3 server at the customer's side of a port, in the customer's router or in a
probe (compare Broadband Forum TR-143). Its address is data of the port. The measurement connects
to it through the port.
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

#: Options of a target. ``testAddress``: "host:port" of the test head, or several addresses, each
#: with its port of the element ("sub1=host:port sub2=host:port"). ``testFloor``, ``testCeiling``:
#: the tolerance, see ``Tolerance``.
OPTIONS = frozenset({"testAddress", "testFloor", "testCeiling"})
IPERF3_PORT = 5201
#: The ceiling is tight, because only the element limits a rate. The floor is loose, because other
#: parts of the path can also slow a measurement down.
FLOOR, CEILING = 0.5, 1.08
TEST_SECONDS = 1
RESULT_TIMEOUT = 5.0  # seconds, in addition to the duration of the test
CONNECT_TIMEOUT = 2.0  # seconds
MAX_ATTEMPTS = 3
#: Parts of iperf3's error messages for which another attempt is useless.
UNREACHABLE_MESSAGES = ("timed out", "unreachable", "No route")
REACHABLE = "reachable"
#: Options of the iperf3 client, which is at the network's side: it sends downstream.
DIRECTION_OPTIONS = {"downstream": (), "upstream": ("--reverse",)}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The range in which a measured rate is accepted, as shares of the expected rate.

    Attributes:
        floor: Minimum share.
        ceiling: Maximum share.
    """

    floor: float = FLOOR
    ceiling: float = CEILING

    def effective_rate(self, rate: int, measured: int) -> int:
        """Return the expected rate if the measured one is in the range, or the measured one.

        >>> Tolerance().effective_rate(100_000_000, 95_700_000)
        100000000
        >>> Tolerance().effective_rate(100_000_000, 109_000_000)
        109000000
        """
        return rate if rate * self.floor <= measured <= rate * self.ceiling else measured


def tolerance(target: Target) -> Tolerance:
    """Return the tolerance that a target's options set.

    Raises:
        Misconfigured: The options are not numbers, or the floor is above the ceiling.
    """
    try:
        floor = float(target.options.get("testFloor", FLOOR))
        ceiling = float(target.options.get("testCeiling", CEILING))
    except ValueError as error:
        raise Misconfigured(target.name, f"testFloor or testCeiling: {error}") from error
    if not 0 <= floor <= ceiling:
        raise Misconfigured(target.name, "testFloor must be from 0 to testCeiling")
    return Tolerance(floor, ceiling)


def head_address(target: Target, port: str) -> str:
    """Return the address of the test head of a port; empty if there is none.

    >>> head_address(Target("gw", "", options={"testAddress": "a=10.0.0.1:5201 b=10.0.0.2"}), "b")
    '10.0.0.2'
    """
    for word in target.options.get("testAddress", "").split():
        name, equals, address = word.rpartition("=")
        if not equals or name == port:
            return address
    return ""


async def measure(target: Target, intent: Intent, head: str = "") -> Verdict:
    """Measure the rates that the customer gets, and compare them with an intent.

    A measurement usually takes less than three seconds. ``observed`` also contains the measured
    rates as "measuredDownstream" and "measuredUpstream", in bits per second.

    Args:
        target: The element, with the options of this module.
        intent: The desired state of the service; only "enabled" and the rates are verified.
        head: "host:port" of the test head; empty: from the options of the target.

    Raises:
        Unsupported: The service cannot be measured. The reason is "noTestHead" (its address is
            not known), "noIperf3" (it is not installed here) or "nothingToMeasure".
        Unreachable: The test head is busy, or does not answer as an iperf3 server; try again.
        Misconfigured: The address or the options are not usable.
    """
    name = target.name
    address, rate_tolerance = head or head_address(target, intent.port), tolerance(target)
    if not intent.present:
        message = "a service that is removed has no effect to measure"
        raise Unsupported(name, message, reason="nothingToMeasure")
    if not address:
        message = f"no test head behind {intent.port}: not measured"
        raise Unsupported(name, message, path=intent.port, reason="noTestHead")
    try:
        endpoint = Target(name, address).endpoint(IPERF3_PORT)
    except ValueError as error:
        raise Misconfigured(name, f"test head {address!r}: {error}") from error
    test_head = _TestHead(name, endpoint, rate_tolerance)
    if intent.settings.get("enabled", True) is False:
        return await test_head.verify_unreachable()
    return await test_head.verify_rates(intent)


@dataclass(frozen=True, slots=True)
class _TestHead:
    element: str
    endpoint: tuple[str, int]
    tolerance: Tolerance

    async def verify_unreachable(self) -> Verdict:
        """Check that the test head is not reachable, because the service is suspended."""
        reachable = await is_reachable(*self.endpoint)
        return self._verdict({REACHABLE: False}, {REACHABLE: reachable})

    async def verify_rates(self, intent: Intent) -> Verdict:
        """Check that the test head is reachable with the rates of the intent."""
        expected: dict[str, Setting] = {REACHABLE: True}
        observed: dict[str, Setting] = {REACHABLE: True}
        settings = {name: intent.settings.get(name, 0) for name in DIRECTION_OPTIONS}
        rates = {
            name: rate for name, rate in settings.items() if isinstance(rate, int) and rate > 0
        }
        if not rates:
            observed[REACHABLE] = await is_reachable(*self.endpoint)
        for direction, rate in rates.items():
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
    """Return whether a host answers a connection attempt."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True  # the refusal came through the port
    except OSError:
        return False
    writer.close()
    return True


async def measure_throughput(element: str, endpoint: tuple[str, int], direction: str) -> int:
    """Return the throughput in one direction, in bits per second, measured by iperf3.

    Raises:
        Unsupported: iperf3 is not installed here.
        Unreachable: The test head is busy, or does not answer as an iperf3 server.
    """
    program = shutil.which("iperf3")
    if program is None:
        message = "iperf3 is not installed here: the rate was not measured"
        raise Unsupported(element, message, path=direction, reason="noIperf3")
    host, port = endpoint
    command = (
        program,
        *("--client", host, "--port", str(port)),
        *("--time", str(TEST_SECONDS), "--connect-timeout", str(int(CONNECT_TIMEOUT * 1000))),
        *("--json", *DIRECTION_OPTIONS[direction]),
    )
    failure = ""
    for attempt in range(MAX_ATTEMPTS):
        await asyncio.sleep(attempt * TEST_SECONDS)  # a test head runs one test at a time
        report = await _run_iperf3(element, command)
        failure = str(report.get("error", ""))
        if not failure:
            return _received_rate(element, report)
        if any(text in failure for text in UNREACHABLE_MESSAGES):
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
        report = json.loads(output)
    except TimeoutError as error:
        raise Unreachable(element, "the measurement did not end in time") from error
    except ValueError as error:
        raise Unreachable(element, "the output of iperf3 is not JSON") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return report if isinstance(report, dict) else {"error": "no result"}


def _received_rate(element: str, report: Mapping[str, Any]) -> int:
    try:
        return round(float(report["end"]["sum_received"]["bits_per_second"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(element, f"iperf3 has no result: {error!r}") from error
