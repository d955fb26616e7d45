"""The responses of an SNMP agent, given the variables that can be read and written.

Source: RFC 3416 section 4.2. Unlike the standard, and like real agents, a SET of several
variables is not atomic: they are set one after the other until one fails.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import replace

from adapters.snmp.wire import ber, message
from adapters.snmp.wire.ber import Value, split_object_id
from adapters.snmp.wire.message import Pdu, Variable

Oid = tuple[int, ...]
#: Object identifier -> tag and value, in the order of a walk.
MibView = Mapping[Oid, tuple[int, Value]]
#: Sets a variable and returns 0, or an error-status.
VariableWriter = Callable[[Variable], int]

REPETITIONS_LIMIT = 64


def respond(request: Pdu, view: MibView, write: VariableWriter) -> Pdu | None:
    """Return the response to a request; None if the PDU is not a request.

    Args:
        request: GET, GET_NEXT, GET_BULK or SET.
        view: The variables that can be read, in the order of a walk.
        write: Sets one variable.
    """
    response = replace(request, tag=message.RESPONSE, error_status=0, error_index=0)
    if request.tag == message.SET:
        return _set(request, response, write)
    walk = list(view)
    if request.tag == message.GET:
        variables = [_get(variable, view) for variable in request.variables]
    elif request.tag == message.GET_NEXT:
        variables = [_next(variable, view, walk) for variable in request.variables]
    elif request.tag == message.GET_BULK:
        variables = _bulk(request, view, walk)
    else:
        return None
    return replace(response, variables=tuple(variables))


def _get(variable: Variable, view: MibView) -> Variable:
    tag, value = view.get(split_object_id(variable.oid), (ber.NO_SUCH_INSTANCE, None))
    return Variable(variable.oid, tag, value)


def _next(variable: Variable, view: MibView, walk: list[Oid]) -> Variable:
    position = bisect_right(walk, split_object_id(variable.oid))
    if position == len(walk):
        return Variable(variable.oid, ber.END_OF_MIB)
    return Variable(".".join(map(str, walk[position])), *view[walk[position]])


def _bulk(request: Pdu, view: MibView, walk: list[Oid]) -> list[Variable]:
    non_repeaters, max_repetitions = max(request.error_status, 0), request.error_index
    variables = [_next(variable, view, walk) for variable in request.variables[:non_repeaters]]
    row = list(request.variables[non_repeaters:])
    for _ in range(min(max_repetitions, REPETITIONS_LIMIT)):
        row = [_next(variable, view, walk) for variable in row]
        variables += row
    return variables


def _set(request: Pdu, response: Pdu, write: VariableWriter) -> Pdu:
    for index, variable in enumerate(request.variables, 1):
        if status := write(variable):
            return replace(response, error_status=status, error_index=index)
    return response
