"""The flags of the search verbs, beside those of the Experiment."""

from typing import Annotated

from pydantic import Field

from aelab.flags import Bare, Place
from aelab.search.config import Search
from aelab.search.engine import Shared


class Hunting(Place):
    """What is searched, and where."""

    search: Annotated[Search, Bare] = Field(Search(), description="What is searched, and how.")
    storage: str | None = Field(
        None,
        description="A database that other machines work on too, as postgresql://user@host/name "
        "(left out: a file in the folder).",
    )
    study: str = Field("aelab", description="The study's name in --storage.")

    @property
    def shared(self) -> Shared | None:
        """The database of --storage."""
        return Shared(self.storage, self.study) if self.storage else None
