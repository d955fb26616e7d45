"""A worker that dies at a place of the test's choice: after its n-th write, of whatever sort.

A write is a command that changes the database, or a SET at an element. From the death on nothing
comes through any more, from no thread, until the next worker starts.
"""

from contextlib import contextmanager

from pymongo.synchronous.bulk import _Bulk
from pymongo.synchronous.pool import Connection

from adapters.session import Session

WRITES = {"insert", "update", "delete", "findAndModify", "findandmodify"}


class Killed(BaseException):
    """The process is gone."""


class Death:
    """When the worker dies, and what it did until then.

    Attributes:
        after: It dies after so many writes; 0: it does not.
        done: What it has written so far, in words.
    """

    def __init__(self):
        self.live()

    def live(self, after=0, instead=None):
        """Be born, to die after so many writes; or to have something else happen then."""
        self.after, self.done, self.dead, self.instead = after, [], False, instead

    def ask(self):
        if self.dead:
            raise Killed

    def wrote(self, what):
        self.ask()
        self.done.append(what)
        if self.after and len(self.done) >= self.after:
            self.after = 0
            if self.instead is None:
                self.dead = True
                raise Killed
            self.instead()


@contextmanager
def mortal():
    """Let the process die at its writes while the block lasts; give its ``Death``."""
    death = Death()
    command, bulk, set_ = Connection.command, _Bulk.write_command, Session.set

    def counted(self, dbname, spec, *rest, **more):
        death.ask()
        found = command(self, dbname, spec, *rest, **more)
        if (name := next(iter(spec))) in WRITES:
            death.wrote(f"{name} {spec[name]}")
        return found

    def counted_bulk(self, bwc, cmd, *rest):
        death.ask()
        found = bulk(self, bwc, cmd, *rest)
        death.wrote(" ".join(map(str, next(iter(cmd.items())))))
        return found

    async def sent(self, oid, syntax, content):
        death.ask()
        await set_(self, oid, syntax, content)
        death.wrote("SET")

    Connection.command, _Bulk.write_command, Session.set = counted, counted_bulk, sent
    try:
        yield death
    finally:
        Connection.command, _Bulk.write_command, Session.set = command, bulk, set_
