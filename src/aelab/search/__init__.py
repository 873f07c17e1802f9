"""The search for the best settings: trials, their proof, and workers on many machines."""

from aelab.search.config import ProofSettings, PrunerSettings, SamplerSettings, Search
from aelab.search.engine import resume_search, run_search
from aelab.search.goals import GOALS, Goal
from aelab.search.space import Space
from aelab.search.worker import Database

__all__ = [
    "GOALS",
    "Database",
    "Goal",
    "ProofSettings",
    "PrunerSettings",
    "SamplerSettings",
    "Search",
    "Space",
    "resume_search",
    "run_search",
]
