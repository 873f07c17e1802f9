"""A claim of your own, decided by a study over seeds: python examples/claim.py

A claim is frozen before the first training. Two seeds decide nothing; use ten or more.
"""

import aelab

claim = aelab.claim(
    name="sharper",
    says="the AE gives sharper images than the VAE",
    favours="ae",
    against="vae",
    quantity="SSIM, AE − VAE",
    measure="ssim",
    threshold=0.01,  # a smaller difference does not matter
)

if __name__ == "__main__":
    experiment = aelab.preset("quick", latent_dim=(8,), ae={"epochs": 3}, vae={"epochs": 3})
    study = aelab.run_study(experiment, seeds=2, claims=[claim])
    found = study.results()["claims"][0]
    print(f"{claim.says}: {found['verdict']}")
    print(f"The report: {study.path / 'report.html'}")
