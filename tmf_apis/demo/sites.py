"""The twenty places where the demo operator has equipment."""

from dataclasses import dataclass

from tmf_apis.demo.builders import reference
from tmf_apis.demo.people import TOWNS
from tmf_apis.rest.pipeline.policy import Resource


@dataclass(frozen=True, slots=True)
class Site:
    """A place.

    Attributes:
        number: From 1.
        name: The town.
    """

    number: int
    name: str

    @property
    def id(self) -> str:
        """Id of the place, which is not a resource of these APIs."""
        return f"site-{self.number:02}"

    @property
    def code(self) -> str:
        """Short name, the first part of the names of equipment there."""
        return f"{self.name[:3].upper()}{self.number:02}"

    @property
    def reference(self) -> Resource:
        """Reference to the place."""
        href = f"/tmf-api/geographicSiteManagement/v5/geographicSite/{self.id}"
        return reference("PlaceRef", self.id, self.name, "GeographicSite", href=href)


def sites() -> list[Site]:
    """Return the places."""
    return [Site(number, name) for number, name in enumerate(TOWNS, 1)]
