"""What is wrong with the models of a run, in words, and what passed."""

from dataclasses import dataclass

from aelab.report.results import Json, Model, Results

MARKS = {"bad": "✕", "note": "!", "fine": "✓"}
SAID = {"bad": "wrong", "note": "worth knowing", "fine": "fine"}


@dataclass(frozen=True)
class Symptom:
    """A finding of one model."""

    model: Model
    finding: Json

    @property
    def mark(self) -> str:
        """A sign for the eye."""
        return MARKS[self.finding["state"]]

    @property
    def said(self) -> str:
        """The same for the ear."""
        return SAID[self.finding["state"]]


@dataclass(frozen=True)
class Health:
    """One latent size: what asks for attention, the worst first, and what passed."""

    latent_dim: int
    symptoms: tuple[Symptom, ...]
    passed: tuple[Symptom, ...]

    @property
    def lead(self) -> str:
        """How it stands, in one sentence."""
        count, wrong = len(self.symptoms) + len(self.passed), len(self.symptoms)
        if not wrong:
            return f"All {count} checks passed."
        return f"{wrong} of {count} checks {'asks' if wrong == 1 else 'ask'} for attention."


def healths(results: Results) -> list[Health]:
    """Every size that was checked."""
    found = []
    for latent_dim in results.latent_dims:
        every = [
            Symptom(model, finding)
            for model in results.of_dim(latent_dim)
            for finding in model.facts.get("health", ())
        ]
        if every:
            ill = [s for state in ("bad", "note") for s in every if s.finding["state"] == state]
            fine = [s for s in every if s.finding["state"] == "fine"]
            found.append(Health(latent_dim, tuple(ill), tuple(fine)))
    return found
