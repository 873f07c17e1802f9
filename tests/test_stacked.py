"""Trainings of many models at once against the training of each alone."""

import dataclasses
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from aelab.data.binarize import Protocol
from aelab.data.dataset import Data
from aelab.data.sources import Source, resolve_data
from aelab.errors import AelabError, TrainingError
from aelab.experiment.presets import preset
from aelab.experiment.settings import Experiment
from aelab.lab.data import describe, load
from aelab.lab.training import train, train_stacked
from aelab.losses import Batch, Loss
from aelab.models import MODELS, Architecture, Autoencoder, Objective
from aelab.models.ae import AE
from aelab.nets.network import Network
from aelab.runs.models import ModelFolder
from aelab.runs.run import Run
from aelab.studies.execution import stacks_of
from aelab.training.loop import fit
from aelab.training.records import Epoch, State
from aelab.training.settings import Training
from aelab.training.stacked import StackMember, fit_stacked
from tests.toy_models import TOYS

MLP, CONV = Network(hidden=(24, 12)), Network(kind="conv", hidden=(4, 8))
#: Two of them have equal settings, and so one optimizer.
CONFIGS = [
    Training(epochs=2, learning_rate=1e-3),
    Training(epochs=2, learning_rate=1e-3),
    Training(
        epochs=2, learning_rate=4e-3, schedule="cosine", warmup_epochs=0.5, weight_decay=1e-2,
        encoder_rate=0.5, mean_start=True,
    ),
]  # fmt: skip
WEIGHTS = [{"beta": 1.0}, {"beta": 4.0}, {"beta": 0.5, "kl_warmup": 1.5}]


def build(kind: type[Autoencoder], network: Network = MLP) -> list[Autoencoder]:
    shape = Architecture(network=network, latent_dim=4)
    settings: list[dict[str, Any]] = WEIGHTS if kind is MODELS["vae"] else [{}, {}, {}]
    return [kind(shape, kind.Config(**own), seed) for seed, own in enumerate(settings)]


def alone(
    models: Sequence[Autoencoder], data: Data, protocol: Protocol = "grey",
    configs: Sequence[Training] = CONFIGS, starts: Sequence[State | None] = (None,) * 3,
) -> list[list[Epoch]]:  # fmt: skip
    """The epochs of each model."""
    return [
        list(fit(model, data, config, seed=seed, protocol=protocol, start=start))
        for seed, (model, config, start) in enumerate(zip(models, configs, starts, strict=True))
    ]


def together(
    models: Sequence[Autoencoder], data: Data, protocol: Protocol = "grey",
    configs: Sequence[Training] = CONFIGS, starts: Sequence[State | None] = (None,) * 3,
) -> list[list[Any]]:  # fmt: skip
    """The epochs of each model."""
    members = [
        StackMember(model, config, seed, start)
        for seed, (model, config, start) in enumerate(zip(models, configs, starts, strict=True))
    ]
    epochs = fit_stacked(members, data, protocol=protocol)
    return [list(own) for own in zip(*epochs, strict=True)]


def require_equal(found: list[list[Any]], expected: list[list[Epoch]]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert isinstance(one, Epoch)
            assert one.index == other.index
            assert one.learning_rate == other.learning_rate
            assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-3)
            for split in ("train", "validation"):
                here, there = getattr(one, split), getattr(other, split)
                assert here.weights == there.weights
                assert here.terms == pytest.approx(there.terms, rel=1e-4)
            assert one.state.tensors.keys() == other.state.tensors.keys()
            for name, value in other.state.tensors.items():
                torch.testing.assert_close(
                    one.state.tensors[name], value, rtol=1e-3, atol=2e-4, msg=name
                )


@pytest.mark.parametrize("protocol", ["grey", "dynamic", "static"])
@pytest.mark.parametrize("network", [MLP, CONV], ids=lambda network: network.kind)
@pytest.mark.parametrize("name", MODELS)
def test_each_trains_as_if_it_were_alone(
    name: str, network: Network, protocol: Protocol, tiny_data: Data
) -> None:
    """Seeds, weights of the KL, learning rates and schedules of its own."""
    kind = MODELS[name]
    found = together(build(kind, network), tiny_data, protocol)
    require_equal(found, alone(build(kind, network), tiny_data, protocol))
    first, second = (own[-1].state.tensors["model/encoder.0.weight" if network is MLP else
                     "model/encoder.1.weight"] for own in found[:2])  # fmt: skip
    assert (first - second).abs().max() > 1e-2  # other seeds are other models


@pytest.mark.parametrize("toy", TOYS)
def test_any_loss_of_a_batch_and_draws_can_be_stacked(toy: str, tiny_data: Data) -> None:
    """Labels, buffers, discrete draws, parameters beside the networks.

    One step: after it a bias before a batch normalisation, which has no gradient, follows rounding.
    """
    rates = (1e-3, 1e-3, 4e-3)
    configs = [Training(epochs=1, batch_size=200, learning_rate=rate) for rate in rates]
    found = together(build(TOYS[toy]), tiny_data, configs=configs)
    require_equal(found, alone(build(TOYS[toy]), tiny_data, configs=configs))


@pytest.mark.parametrize("name", MODELS)
def test_a_state_of_either_training_continues_in_the_other(name: str, tiny_data: Data) -> None:
    whole = alone(build(MODELS[name]), tiny_data)
    for begin, rest in ((alone, together), (together, alone)):
        states = [epochs[0].state for epochs in begin(build(MODELS[name]), tiny_data)]
        found = rest(build(MODELS[name]), tiny_data, starts=states)
        require_equal(found, [epochs[1:] for epochs in whole])


def test_a_model_that_fails_does_not_stop_the_others(tiny_data: Data) -> None:
    configs = [CONFIGS[0], CONFIGS[1].model_copy(update={"learning_rate": 1e30}), CONFIGS[2]]
    found = together(build(MODELS["vae"]), tiny_data, configs=configs)
    first, again = found.pop(1)
    assert isinstance(first, TrainingError)
    assert "not finite at step 2 of epoch 1 with learning rate 1e+30" in str(first)
    assert again is first
    expected = alone(build(MODELS["vae"]), tiny_data)
    require_equal(found, [expected[0], expected[2]])


def test_models_of_other_shapes_are_refused(tiny_data: Data) -> None:
    first, *_ = build(MODELS["noise"])
    config = CONFIGS[0]
    louder = MODELS["noise"](
        first.architecture, MODELS["noise"].Config.model_validate({"sigma": 2.0})
    )
    for member in (
        StackMember(MODELS["ae"](first.architecture, Objective()), config, 1),
        StackMember(build(MODELS["noise"], CONV)[1], config, 1),
        StackMember(louder, config, 1),  # its noise is no weight of a term
        StackMember(first, config.model_copy(update={"batch_size": 32}), 1),
        StackMember(first, config.model_copy(update={"epochs": 3}), 1),
        StackMember(first, config, 1, State(1, {})),
    ):
        with pytest.raises(AelabError, match="train these one by one"):
            next(fit_stacked([StackMember(first, config, 0), member], tiny_data))


class Own(AE):  # type: ignore[misc]  # final
    """Its noise has no place for many models."""

    def loss(self, batch: Batch, generator: torch.Generator, epoch: float) -> Loss:  # noqa: ARG002
        code = self.encode(batch.x)
        noise = torch.empty(code.shape).normal_(generator=generator)
        return Loss({"reconstruction": self.reconstruction(self.decode(code + noise), batch.x)})


def test_a_loss_that_cannot_be_stacked_is_an_error(tiny_data: Data) -> None:
    with pytest.raises(RuntimeError, match="does not depend on its input"):
        together(build(Own), tiny_data, configs=[CONFIGS[0]] * 3)


# --- in run folders -----------------------------------------------------------------------------


def tiny(folder: Path, **changes: Any) -> Experiment:
    settings: dict[str, Any] = {
        "data": str(folder), "latent_dim": (3,), "network": {"hidden": (8,)}, "validation": 60,
        "vae": {"epochs": 2}, "precision": "float32",
    }  # fmt: skip
    return preset("recipe", **(settings | changes))


def make_runs(folder: Path, source: Source, *experiments: Experiment) -> list[Run]:
    facts = describe(load(source, experiments[0]))
    return [
        Run.create(
            folder / str(number), experiment.model_dump(mode="json"), data=facts,
            source=dataclasses.asdict(source),
        )
        for number, experiment in enumerate(experiments)
    ]  # fmt: skip


def test_models_of_one_shape_make_a_stack(tiny_folder: Path, tmp_path: Path) -> None:
    models = ("ae", "vae", "noise")
    experiments = [
        tiny(tiny_folder, models=models),
        tiny(tiny_folder, models=models, seed=1, vae={"epochs": 2, "beta": 4.0}),
        tiny(tiny_folder, models=models, seed=2, ae={"learning_rate": 1e-2}),
        tiny(tiny_folder, models=models, noise={"sigma": 0.5}, vae={"epochs": 3}),
        tiny(tiny_folder, models=models, network={"hidden": (9,)}),
        tiny(tiny_folder, models=models, train_size=100),
    ]
    runs = make_runs(tmp_path, resolve_data(str(tiny_folder)), *experiments)
    found = stacks_of(zip(runs, experiments, strict=True))
    named = [[(run.path.name, key) for run, key in stack] for stack in found]
    assert named == [
        [(run, "ae-3") for run in "0123"],
        [(run, "vae-3") for run in "012"],
        [(run, "noise-3") for run in "012"],
    ]


def stopping(folder: Path, rate: float, **changes: Any) -> Experiment:
    """An AE that stops after the first epoch that is not better."""
    return tiny(folder, ae={"epochs": 8, "early_stopping": 1, "learning_rate": rate}, **changes)


def test_a_stack_stops_early_and_leaves_what_fails_to_the_job_of_the_model(
    tiny_folder: Path, tmp_path: Path
) -> None:
    source = resolve_data(str(tiny_folder))
    experiments = [stopping(tiny_folder, rate) for rate in (1e-3, 3e-2, 1e30)]
    runs = make_runs(tmp_path, source, *experiments)
    train_stacked(lambda _: None, [(run.path, "ae-3") for run in runs], source)
    assert [len(run.history("ae-3")) for run in runs] == [8, 3, 0]
    assert not runs[2].model("ae-3").has("weights.safetensors")
    for run, own in zip(runs[:2], experiments, strict=False):
        folder = run.model("ae-3")
        alone = ModelFolder(tmp_path / f"{run.path.name}-alone")
        alone.path.mkdir()
        data = load(source, own)
        train(lambda _: None, own, "ae-3", own.build("ae-3"), data, alone)
        assert list(folder.checkpoints()) == list(alone.checkpoints())
        weights = [each.tensors("weights.safetensors") for each in (folder, alone)]
        torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-3)


def test_a_stack_that_is_stopped_writes_its_last_epoch(tiny_folder: Path, tmp_path: Path) -> None:
    source = resolve_data(str(tiny_folder))
    experiments = [stopping(tiny_folder, 1e-3, seed=s, checkpoint_epochs=9) for s in (0, 1)]
    runs = make_runs(tmp_path, source, *experiments)

    def send(content: dict[str, Any]) -> None:
        if content.get("epoch") == 3:
            signal.raise_signal(signal.SIGTERM)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            train_stacked(send, [(run.path, "ae-3") for run in runs], source)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [list(run.model("ae-3").checkpoints()) for run in runs] == [[3], [3]]


def test_a_stack_that_vmap_cannot_compute_is_left_alone(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = resolve_data(str(tiny_folder))
    runs = make_runs(tmp_path, source, *(stopping(tiny_folder, 1e-3, seed=s) for s in (0, 1)))
    sent: list[Any] = []
    monkeypatch.setattr(AE, "loss", Own.loss)
    train_stacked(sent.append, [(run.path, "ae-3") for run in runs], source)
    assert sent == [
        {
            "warning": "The models train one by one: A loss draws numbers into a tensor that does "
            "not depend on its input."
        }
    ]
    assert [run.history("ae-3") for run in runs] == [[], []]
