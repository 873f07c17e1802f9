"""The full setting of a study, as terms and values to read."""

from aelab.report.numbers import duration, listing
from aelab.report.setting import Group
from aelab.report.study.results import Found


def setting(found: Found) -> list[Group]:
    """Data, seeds, the frozen claims and the machines: everything a verdict may depend on."""
    data, manifest = found.data, found.manifest
    sizes = listing(f"{count:,} for {name}" for name, count in data.get("counts", {}).items())
    groups = {
        "Data": {
            "name": data.get("name"),
            "source": data.get("source"),
            "images": sizes,
            "split": data.get("split"),
            "protocol": found.protocol,
            **{f"SHA-256 {name}": digest for name, digest in data.get("sha256", {}).items()},
        },
        "Study": {
            "preset": found.experiment.get("preset"),
            "seeds": _span(found.seeds),
            "the models differ in": listing(found.pair_differs_in) or "nothing but the objective",
            "claims frozen": manifest.get("created"),
            "SHA-256 of the claims": found.claims_hash,
            "runs": str(len(found.runs)),
            "time": duration(manifest["seconds"]) if "seconds" in manifest else None,
        },
        **{
            f"Machine{f' {place}' if len(found.environments) > 1 else ''}": {
                name.replace("_", " "): value for name, value in environment.items()
            }
            for place, environment in enumerate(found.environments, 1)
        },
    }
    return [
        Group(title, tuple((k, str(v)) for k, v in facts.items() if v not in (None, "")))
        for title, facts in groups.items()
    ]


def _span(seeds: tuple[int, ...]) -> str:
    if len(seeds) > 2 and seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return listing(map(str, seeds))
