"""The search for the best settings: trials, their proof, and workers on many machines."""

from aelab.search.config import Proof, Pruner, Sampler, Search
from aelab.search.engine import Shared, resume_search, run_search
from aelab.search.goals import GOALS, Goal, goal
from aelab.search.space import Space

__all__ = [
    "GOALS",
    "Goal",
    "Proof",
    "Pruner",
    "Sampler",
    "Search",
    "Shared",
    "Space",
    "goal",
    "resume_search",
    "run_search",
]
