"""Walks of tables with agents that do not follow the standard in every answer.

A walk reads what can be read. It asks for less where an agent cannot answer so much at once, skips
cells without a value, and records for each column what was not read and why.

Source: RFC 3416 sections 4.2.3 (GetBulkRequest) and 4.2.2 (GetNextRequest).
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from adapters.errors import DamagedAnswer, Rejected
from adapters.snmp.wire import ber
from adapters.snmp.wire.ber import ARCS_LIMIT, Value, split_object_id
from adapters.snmp.wire.message import Variable

MAX_REPETITIONS = 10
#: Maximum number of rows of one table. A longer walk means that the agent loops.
ROWS_LIMIT = 20_000
#: Reason of an error: the agent returns object identifiers that do not increase, or too many rows.
LOOP = "loop"
ENDLESS = "its table does not end"
#: Reasons of an answer that is too large for the agent, or damaged because it is too large.
MALFORMED = "an answer that cannot be decoded"
TOO_LARGE = frozenset({"tooBig", MALFORMED})
TAG_NAMES = {
    ber.NULL: "NULL",
    ber.NO_SUCH_OBJECT: "noSuchObject",
    ber.NO_SUCH_INSTANCE: "noSuchInstance",
    ber.UNDECODABLE: "a value that is not encoded as SNMP",
}

#: Returns the variables of the response to a GetBulkRequest: object identifiers, repetitions.
BulkReader = Callable[[Sequence[str], int], Awaitable[Sequence[Variable]]]


@dataclass(slots=True)
class Column:
    """A column as far as it was read.

    Attributes:
        oid: Object identifier.
        cells: Values by instance.
        blanks: Reasons why there is no value, by instance.
        problem: Reason why the column was not read to its end; empty: it was.
        last: The last object identifier that was read; the walk continues behind it.
        ends_mib: Whether the agent says that nothing follows in its whole MIB.
        is_denied: Whether it says so although something follows.
        error: The error that ended the walk; None: there is none.
    """

    oid: str
    cells: dict[str, Value] = field(default_factory=dict)
    blanks: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    last: str = ""
    ends_mib: bool = False
    is_denied: bool = False
    error: Rejected | DamagedAnswer | None = None

    @property
    def instances(self) -> set[str]:
        """The instances that the agent has, with a value or without one."""
        return {*self.cells, *self.blanks}

    @property
    def reasons(self) -> list[str]:
        """The reasons why cells were not read, for people."""
        reasons = [self.problem] if self.problem else []
        if self.blanks:
            row, reason = next(iter(self.blanks.items()))
            more = f" and {len(self.blanks) - 1} more" if len(self.blanks) > 1 else ""
            reasons.append(f"{reason} in row {row}{more}")
        return reasons

    def ends_early(self, greatest_oid: tuple[int, ...]) -> bool:
        """Return whether the agent has denied what follows, although something does."""
        return self.ends_mib and split_object_id(self.last) < greatest_oid

    def is_unread(self, instance: str) -> bool:
        """Return whether the agent may have a value that was not read."""
        return instance in self.blanks or (bool(self.problem) and instance not in self.cells)


def unread_rows(columns: Collection[Column], rows: AbstractSet[str]) -> str:
    """Return why rows of a table may be missing; empty if all were read.

    One column that was read to its end shows that there are no others. If the agent has denied
    that anything follows where something does, its word for the end counts nowhere.
    """
    is_liar = any(column.is_denied for column in columns)
    for column in columns:
        is_complete = not column.problem and not (is_liar and column.ends_mib)
        if is_complete and rows <= column.instances:
            return ""
    return next((column.problem for column in columns if column.problem), "rows differ by column")


class Walker:
    """One walk of several columns.

    Attributes:
        columns: The columns by object identifier.
        greatest_oid: The greatest object identifier with a value that was seen, as arcs.
    """

    def __init__(self, element: str, read: BulkReader, columns: Sequence[str]) -> None:
        self._element, self._read = element, read
        self.columns = {oid: Column(oid, last=oid) for oid in columns}
        self._active = list(self.columns.values())
        self.greatest_oid: tuple[int, ...] = ()
        self._width, self._repetitions = max(1, len(self._active)), MAX_REPETITIONS

    async def run(self) -> dict[str, Column]:
        """Read the columns.

        Raises:
            Unreachable: The agent does not answer at all, or only with octets that are not SNMP.
        """
        while self._active:
            batch = self._active[: self._width]
            try:
                variables = await self._read([column.last for column in batch], self._repetitions)
            except DamagedAnswer as error:
                self._handle_error(batch, MALFORMED, 0, error)
                continue
            except Rejected as error:
                index = next(
                    (n for n, column in enumerate(batch, 1) if column.last == error.path), 0
                )
                self._handle_error(batch, error.reason, index, error)
                continue
            self._add(batch, variables)
        return self.columns

    def _handle_error(
        self, batch: list[Column], reason: str, index: int, error: Rejected | DamagedAnswer
    ) -> None:
        """Ask for less, or else end the column at which the agent fails."""
        if self._repetitions > 1:
            self._repetitions = self._repetitions // 2 if reason in TOO_LARGE else 1
        elif len(batch) > 1 and not index:
            self._width = 1
        else:
            column = batch[index - 1 if index else 0]
            if reason != "noSuchName":  # version 1 has no other way to say that the MIB ends
                column.problem, column.error = self._text(column, reason), error
            else:
                column.ends_mib = True
            self._active.remove(column)

    @staticmethod
    def _text(column: Column, reason: str) -> str:
        instance = column.last[len(column.oid) + 1 :]
        return f"{reason} after row {instance}" if instance else reason

    def _add(self, batch: list[Column], variables: Sequence[Variable]) -> None:
        if not variables and self._repetitions > 1:
            self._repetitions = 1
            return
        before = {column.oid: column.last for column in batch}
        for position, variable in enumerate(variables):
            column = batch[position % len(batch)]
            if column in self._active:
                self._add_cell(column, variable)
        # the agent may have cut off its answer: the columns without a variable are asked for again
        for column in batch[: len(variables)] if variables else batch:
            if column in self._active:
                self._check_progress(column, before[column.oid])

    def _add_cell(self, column: Column, variable: Variable) -> None:
        if variable.value is not None:
            self.greatest_oid = max(self.greatest_oid, split_object_id(variable.oid))
        if variable.tag == ber.END_OF_MIB or not variable.oid.startswith(f"{column.oid}."):
            column.ends_mib = variable.tag == ber.END_OF_MIB
            self._active.remove(column)
            return
        instance = variable.oid[len(column.oid) + 1 :]
        if variable.value is not None:
            column.cells[instance] = variable.value
        elif variable.oid == column.last:  # the agent has nothing behind the one that was read
            self._active.remove(column)
            return
        else:
            column.blanks[instance] = TAG_NAMES.get(variable.tag, "no value")
        column.last = variable.oid

    def _check_progress(self, column: Column, before: str) -> None:
        arcs = split_object_id(column.last)
        too_long = len(arcs) > ARCS_LIMIT or len(column.cells) + len(column.blanks) > ROWS_LIMIT
        if too_long or arcs <= split_object_id(before):
            column.error = Rejected(self._element, ENDLESS, path=column.oid, reason=LOOP)
            column.problem = ENDLESS
            self._active.remove(column)


def raise_error(*columns: Column) -> None:
    """Raise the first error of columns; do nothing if they were read to their ends.

    Raises:
        Rejected: A column cannot be read to its end; if it does not end, the reason is "loop".
        DamagedAnswer: An answer cannot be decoded.
    """
    for column in columns:
        if column.error:
            raise column.error
