"""The base of every configuration: frozen, strict about names, described for ``--help``."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen record of settings; an unknown name is an error, a description is the help."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
