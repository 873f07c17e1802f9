import codecs
import tomllib
from pathlib import Path

import pytest

from aelab.cli.printing import print_presets
from aelab.config.base import read_toml, to_toml
from aelab.errors import AelabError
from aelab.experiment.presets import PRESET_HELP, PRESETS, load_toml, preset, validate
from aelab.experiment.settings import experiment_type
from aelab.models import MODELS


def test_the_recipe_is_the_original_one() -> None:
    recipe = preset("recipe")
    assert recipe.network.kind == "mlp"
    assert recipe.network.hidden == (400,)
    for name, rate in (("ae", 1e-3), ("vae", 1e-4)):
        training = recipe.training(name)
        assert (training.learning_rate, training.batch_size, training.epochs) == (rate, 64, 50)
    assert recipe.pair_differs_in() == ["learning rate (AE 0.001, VAE 0.0001)"]
    assert list(recipe.by_key) == ["ae-16", "vae-16", "ae-2", "vae-2"]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_round_trip_through_their_toml(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert name in PRESET_HELP
    print_presets(name)
    text = capsys.readouterr().out
    assert tomllib.loads(text)["preset"] == name
    path = tmp_path / "run.toml"
    path.write_text(text)
    assert load_toml(path) == preset(name)


@pytest.mark.parametrize("name", PRESETS)
def test_experiments_round_trip_through_json(name: str) -> None:
    experiment = preset(name, latent_dim=(3,), seed=7)
    assert validate(experiment.model_dump(mode="json"), "here") == experiment


def test_every_registered_model_has_its_settings() -> None:
    assert set(MODELS) <= set(experiment_type().model_fields)
    assert preset(vae={"beta": 4}).objective("vae").model_dump()["beta"] == 4


def test_toml_lies_over_its_preset(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('preset = "quick"\nseed = 3\n[vae]\nbeta = 2.0\n')
    experiment = load_toml(path)
    assert experiment.data == "bundled"
    assert experiment.seed == 3
    assert experiment.training("vae").learning_rate == 1e-3  # quick's
    assert load_toml(path, "recipe").training("vae").learning_rate == 1e-4


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8-sig"),  # Notepad
        (codecs.BOM_UTF16_LE, "utf-16-le"),  # PowerShell's redirect
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_toml_may_have_a_byte_order_mark(mark: bytes, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(mark + 'data = "žluť"\r\n[vae]\r\nbeta = 2.0\r\n'.encode(encoding))
    assert read_toml(path) == {"data": "žluť", "vae": {"beta": 2.0}}


def test_settings_of_older_versions_that_do_nothing_any_more_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("checkpoint_minutes = 5.0\nseed = 7\n")
    assert load_toml(path) == preset(seed=7)


def test_strings_survive_toml(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    settings = {"data": 'C:\\digits "β"\t'}
    path.write_text(to_toml(settings), encoding="utf-8")
    assert read_toml(path) == settings


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seeed = 1", "there is no setting seeed"),
        ("[vae]\nbetta = 1.0", "there is no setting vae.betta"),
        ("[vae]\nbeta = -1.0", "vae.beta: input should be greater than or equal to 0, not -1.0"),
        ('models = ["gan"]', "no model is named gan"),
        ("latent_dim = []", "latent_dim: .* at least 1"),
        ("latent_dim = [0]", "latent_dim must be at least 1"),
        ("latent_dim = [2, 2]", "name each one once"),
        ('likelihood = "continuous-bernoulli"\npixels = "static"', "needs pixels grey"),
        ("[ae]\nlearning_rate = nan", "ae.learning_rate: "),
        ("seed = ", "is not TOML"),
        ('preset = "slow"', "There is no preset slow: choose from recipe, quick"),
        ("preset = [1]", "There is no preset"),
    ],
)
def test_bad_toml_is_told_in_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(AelabError, match=sentence) as caught:
        load_toml(path)
    assert "\n" not in str(caught.value).replace(text, "")


def test_toml_in_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes('data = "é"'.encode("cp1252"))
    with pytest.raises(AelabError, match=r"is not TOML: save it as UTF-8\.$"):
        load_toml(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(AelabError, match="Cannot read"):
        load_toml(tmp_path / "absent.toml")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        preset().seed = 3  # type: ignore[misc]
