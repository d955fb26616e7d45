"""How an SNMP agent answers requests, given what can be read and written.

Source: RFC 3416 section 4.2. Unlike it, and like agents that exist, a SET of several variables is
not one change: they are set one after the other until one fails.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import replace

from adapters.snmp.wire import ber, message
from adapters.snmp.wire.ber import Value
from adapters.snmp.wire.message import Pdu, Variable

Oid = tuple[int, ...]
MibView = Mapping[Oid, tuple[int, Value]]
#: Sets a variable and returns 0, or an error-status.
VariableWriter = Callable[[Variable], int]

REPETITIONS_LIMIT = 64


def arcs(oid: str) -> Oid:
    """Return an object identifier in the form that sorts as a walk goes."""
    return tuple(map(int, oid.split(".")))


def respond(request: Pdu, view: MibView, write: VariableWriter) -> Pdu | None:
    """Return the response to a request; None to what is not one.

    Args:
        request: GET, GET_NEXT, GET_BULK or SET.
        view: Everything that can be read, in the order of a walk.
        write: Sets one variable.
    """
    response = replace(request, tag=message.RESPONSE, error_status=0, error_index=0)
    if request.tag == message.SET:
        return _set(request, response, write)
    walk = list(view)
    if request.tag == message.GET:
        found = [_get(one, view) for one in request.variables]
    elif request.tag == message.GET_NEXT:
        found = [_next(one, view, walk) for one in request.variables]
    elif request.tag == message.GET_BULK:
        found = _bulk(request, view, walk)
    else:
        return None
    return replace(response, variables=tuple(found))


def _get(variable: Variable, view: MibView) -> Variable:
    tag, value = view.get(arcs(variable.oid), (ber.NO_SUCH_INSTANCE, None))
    return Variable(variable.oid, tag, value)


def _next(variable: Variable, view: MibView, walk: list[Oid]) -> Variable:
    place = bisect_right(walk, arcs(variable.oid))
    if place == len(walk):
        return Variable(variable.oid, ber.END_OF_MIB)
    return Variable(".".join(map(str, walk[place])), *view[walk[place]])


def _bulk(request: Pdu, view: MibView, walk: list[Oid]) -> list[Variable]:
    once = max(request.error_status, 0)
    found = [_next(one, view, walk) for one in request.variables[:once]]
    last = list(request.variables[once:])
    for _ in range(min(request.error_index, REPETITIONS_LIMIT)):
        last = [_next(one, view, walk) for one in last]
        found += last
    return found


def _set(request: Pdu, response: Pdu, write: VariableWriter) -> Pdu:
    for place, one in enumerate(request.variables, 1):
        if status := write(one):
            return replace(response, error_status=status, error_index=place)
    return response
