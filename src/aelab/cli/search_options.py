"""The flags of the search verbs, beside those of the Experiment."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from aelab.cli.options import Bare, Output, RunOptions
from aelab.search.config import Search
from aelab.search.worker import HEARTBEAT, Database


class SearchOptions(RunOptions):
    """What is searched, and where."""

    search: Annotated[Search, Bare] = Field(Search(), description="What is searched, and how.")
    storage: str | None = Field(
        None,
        repr=False,  # it may hold a password
        description="A database that other machines work on too, as postgresql://user@host/name "
        "(left out: a file in the folder).",
    )
    study: str = Field("aelab", description="The study's name in --storage.")
    heartbeat: int = Field(
        HEARTBEAT,
        ge=1,
        description="Seconds between the heartbeats of a trial in --storage; after three missed "
        "ones it is entered again.",
    )

    @property
    def shared(self) -> Database | None:
        """The database of --storage."""
        return Database(self.storage, self.study, self.heartbeat) if self.storage else None


class WorkerOptions(Output):
    """Where a worker finds its trials and leaves what they made."""

    storage: str = Field(
        repr=False, description="The database of the search: postgresql://user@host/name."
    )
    study: str = Field("aelab", description="The study's name in it.")
    data: str | None = Field(
        None, description="Where the digits are on this machine (left out: where the search says)."
    )
    weights: Path | None = Field(
        None,
        description="A folder, best a shared one, for the weights of the trials (left out: "
        "weights/<study> here).",
    )
    workers: int = Field(
        2, ge=1, description="Trials at a time, each in a process with one thread."
    )

    @property
    def place(self) -> dict[str, Any]:
        """Where and how, as ``join_search`` takes it."""
        return self.model_dump(include={"data", "weights", "workers"})
