import pytest

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.runs.experiment import CurriculumConfig, EvalConfig, ExperimentConfig, NetworkConfig


def test_settings_are_flat_and_name_every_option_once():
    settings = ExperimentConfig(
        "TextMath-v0", {}, imitation=ImitationConfig(steps=3), training=Config(updates=7)
    ).settings()
    assert (settings["imitation_steps"], settings["updates"]) == (3, 7)
    fields = {name for config in (Config, NetworkConfig, EvalConfig) for name in config.__dataclass_fields__}
    fields |= {f"imitation_{name}" for name in ImitationConfig.__dataclass_fields__}
    fields |= {f"curriculum_{name}" for name in CurriculumConfig.__dataclass_fields__}
    assert settings.keys() == fields - {"seed", "imitation_seed"}


def test_evaluations_use_the_test_split_of_tasks_that_have_one():
    assert ExperimentConfig("TextMath-v0", {"difficulty": "words"}).held_out() == {
        "difficulty": "words",
        "split": "test",
    }
    assert ExperimentConfig("TextGuess-v0", {"high": 7}).held_out() == {"high": 7}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"dtype": "float64", "model": "m"}, "dtype='float64' is none of 'float32', 'bfloat16', 'auto'"),
        ({"dtype": "bfloat16"}, "for a model that is loaded, and none is given"),
        ({"model": "m", "width": 64}, "width=64 is for the tiny model, and model='m' is loaded"),
        ({"lora_rank": -1}, "lora_rank=-1 must be at least 0"),
    ],
)
def test_options_of_the_model_that_would_be_ignored_are_refused(options, error):
    with pytest.raises(ValueError, match=error):
        NetworkConfig(**options)


@pytest.mark.parametrize("name", ["evaluate_every", "evaluate_episodes", "final_episodes", "checkpoint_every"])
def test_evaluating_never_is_refused(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
        EvalConfig(**{name: 0})
