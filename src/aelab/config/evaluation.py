"""The settings of an evaluation."""

from typing import Literal

from pydantic import Field

from aelab.config.base import Config


class EvaluationSettings(Config):
    """The size of an evaluation; the same for every model of a run."""

    samples: Literal[500, 5000] = Field(
        500, description="Importance samples per image of the tightest likelihood bound."
    )
    effort: Literal["default", "full"] = Field(
        "default",
        description="Test images that get so many samples: 1,000, the others entering by a "
        "control variate (default), or all (full).",
    )
    draws: int = Field(
        10_000, ge=1, description="Images drawn by each sampler (at most one a test image)."
    )
    pairs: int = Field(5_000, ge=1, description="Pairs of test images to interpolate between.")
    flow: bool = Field(
        False,
        description="Sample from a flow fitted to the codes, too (extra flow; 15 s a model).",
    )
