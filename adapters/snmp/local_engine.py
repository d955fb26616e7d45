"""The SNMP engine of this system, which elements send their v3 informs to.

The receiver of an inform is authoritative: the sender asks for the identity and the clock of its
engine, and protects the inform with keys for this engine.

Source: RFC 3414 section 1.5.1 (authoritative engine), section 3.2 (reports), section 4 (discovery).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from adapters.snmp.wire import ber, message, usm, usm_request
from adapters.snmp.wire.ber import Malformed
from adapters.snmp.wire.message import Pdu, Variable
from adapters.snmp.wire.usm import NotAuthentic, ScopedPdu, User, V3Header
from adapters.snmp.wire.usm_request import EngineClock

#: Number of starts: the time of the engine continues over restarts of the system.
BOOTS = 1
UNKNOWN_ENGINE, NOT_IN_TIME_WINDOW, UNKNOWN_USER, WRONG_DIGEST = (
    f"{usm_request.USM_STATS}.{number}.0" for number in (4, 2, 3, 5)
)


class Reportable(NotAuthentic):
    """The message is refused, and its sender is told why.

    Attributes:
        report: The message that tells it.
        is_discovery: The sender does not know the engine or its clock yet, and will send again.
    """

    def __init__(self, reason: str, report: bytes, *, is_discovery: bool = False) -> None:
        super().__init__(reason)
        self.report = report
        self.is_discovery = is_discovery


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """The identity and the clock of the engine, the same for all receivers of a system.

    Attributes:
        engine_id: snmpEngineID.
        started_at: When its time was zero, in seconds since 1970.
        clock: Returns the current time, in seconds since 1970.
    """

    engine_id: bytes
    started_at: float
    clock: Callable[[], float] = field(default=time.time, repr=False)

    @property
    def now(self) -> EngineClock:
        """The identity and the current time of the engine."""
        return EngineClock(self.engine_id, BOOTS, max(0, int(self.clock() - self.started_at)))

    def open(self, octets: bytes, header: V3Header, user: User | None) -> ScopedPdu:
        """Return the PDU of a message to this engine after verifying its sender and its age.

        Args:
            octets: The message.
            header: Its header, with the identity of this engine.
            user: The user that the header names; None: there is none.

        Raises:
            Malformed: The octets are not a message.
            Reportable: The message is not from the user, or its sender has another time.
        """
        if user is None:
            raise self.refusal("unknown user", UNKNOWN_USER, octets, header)
        try:
            usm.check_sender(octets, header, user)
        except NotAuthentic as error:
            raise self.refusal(str(error), WRONG_DIGEST, octets, header) from error
        difference = abs(header.engine_time - self.now.engine_time)
        if header.boots != BOOTS or difference > usm.TIME_WINDOW:
            # authenticated, so that the sender can trust this time, and not encrypted
            pdu = _report(NOT_IN_TIME_WINDOW, octets, header)
            report = usm_request.encode_response(
                user.without_privacy(),
                self.now,
                header.message_id,
                ScopedPdu(self.engine_id, b"", pdu),
            )
            raise Reportable("another time", report, is_discovery=True)
        return usm.decrypted_pdu(octets, header, user)

    def refusal(
        self,
        reason: str,
        counter: str,
        octets: bytes,
        header: V3Header,
        *,
        is_discovery: bool = False,
    ) -> Reportable:
        """Return the refusal of a message with a report that proves nothing."""
        pdu = _report(counter, octets, header)
        report = usm_request.encode_plain_report(self.now, header.message_id, pdu)
        return Reportable(reason, report, is_discovery=is_discovery)

    def response(self, user: User, header: V3Header, inform: ScopedPdu) -> bytes:
        """Return the acknowledgement of an inform."""
        pdu = replace(inform.pdu, tag=message.RESPONSE, error_status=0, error_index=0)
        scoped_pdu = replace(inform, pdu=pdu)
        return usm_request.encode_response(user, self.now, header.message_id, scoped_pdu)


def _report(counter: str, octets: bytes, header: V3Header) -> Pdu:
    """Return a report; the counter's value has no meaning for its receiver."""
    request_id = 0
    if not header.flags & usm.PRIV_FLAG:
        try:
            request_id = usm.decode_plain_pdu(octets, header).request_id
        except Malformed:
            request_id = 0
    variable = Variable(counter, ber.COUNTER32, 1)
    return Pdu(message.REPORT, request_id, variables=(variable,))
