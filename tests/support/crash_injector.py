"""A worker that dies at a place of the test's choice: after its n-th write, of whatever sort.

A write is a command that changes the database, or a SET at an element. From the death on nothing
comes through any more, from no thread, until the next worker starts.
"""

from contextlib import contextmanager

from pymongo.synchronous.bulk import _Bulk
from pymongo.synchronous.pool import Connection

from adapters.snmp.session import Session

WRITE_COMMANDS = {"insert", "update", "delete", "findAndModify", "findandmodify"}


class ProcessKilled(BaseException):
    """The process is gone."""


class CrashInjector:
    """When the worker dies, and what it did until then.

    Attributes:
        crash_after: It dies after so many writes; 0: it does not.
        writes: What it has written so far, in words.
    """

    def __init__(self):
        self.arm()

    def arm(self, crash_after=0, replacement=None):
        """Be born, to die after so many writes; or to have something else happen then."""
        self.crash_after, self.writes, self.is_crashed, self.replacement = (
            crash_after,
            [],
            False,
            replacement,
        )

    def check_alive(self):
        if self.is_crashed:
            raise ProcessKilled

    def record_write(self, description):
        self.check_alive()
        self.writes.append(description)
        if self.crash_after and len(self.writes) >= self.crash_after:
            self.crash_after = 0
            if self.replacement is None:
                self.is_crashed = True
                raise ProcessKilled
            self.replacement()


@contextmanager
def inject_crashes():
    """Let the process die at its writes while the block lasts; give its ``CrashInjector``."""
    death = CrashInjector()
    command, bulk, set_ = Connection.command, _Bulk.write_command, Session.set

    def counted(self, dbname, spec, *rest, **more):
        death.check_alive()
        found = command(self, dbname, spec, *rest, **more)
        if (name := next(iter(spec))) in WRITE_COMMANDS:
            death.record_write(f"{name} {spec[name]}")
        return found

    def counted_bulk(self, bwc, cmd, *rest):
        death.check_alive()
        found = bulk(self, bwc, cmd, *rest)
        death.record_write(" ".join(map(str, next(iter(cmd.items())))))
        return found

    async def sent(self, oid, syntax, content):
        death.check_alive()
        await set_(self, oid, syntax, content)
        death.record_write("SET")

    Connection.command, _Bulk.write_command, Session.set = counted, counted_bulk, sent
    try:
        yield death
    finally:
        Connection.command, _Bulk.write_command, Session.set = command, bulk, set_
