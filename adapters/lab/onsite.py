"""What the lab's elements have in common that stand in a network of their own."""

import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic, Self, TypeVar

from adapters.lab.network import LabError, Site, sweep

S = TypeVar("S", bound=Site)


class OnSite(ABC, Generic[S]):
    """An element in a network of its own; a context manager.

    Attributes:
        name: What the element is called.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._site: S | None = None

    @abstractmethod
    def _lay(self, files: Path) -> S:
        """Make the network."""

    @abstractmethod
    def _begin(self) -> None:
        """Configure the element and start it."""

    @abstractmethod
    def _end(self) -> None:
        """Stop the element, whether it runs or not."""

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def site(self) -> S:
        """The network, while the lab is up.

        Raises:
            LabError: It is not.
        """
        if self._site is None:
            raise LabError("the lab is not up")
        return self._site

    def up(self) -> Self:
        """Make the network and start the element; about a second.

        Raises:
            LabError: The machine does not do what the lab needs; nothing is left behind.
        """
        sweep()
        files = Path(tempfile.mkdtemp(prefix="tmflab-"))
        try:
            self._site = self._lay(files)
            self._begin()
        except BaseException:
            self.down()
            shutil.rmtree(files, ignore_errors=True)
            raise
        return self

    def down(self) -> None:
        """Stop the element and remove everything; may be called twice."""
        if self._site is not None:
            self._end()
            self._site.remove()
            self._site = None

    def cut(self, port: str) -> None:
        """Cut the cable of a port."""
        self.site.cut(port)

    def mend(self, port: str) -> None:
        """Mend the cable of a port."""
        self.site.connect(port)
