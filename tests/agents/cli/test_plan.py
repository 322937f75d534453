"""What a training run is made of, as the command line takes it: named at once, since none of it needs a network."""

import subprocess
import sys

import pytest

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.cli.main import COMMANDS
from textmdp.agents.cli.plan import EvalConfig, Network, Plan

HEAVY = ("torch", "transformers", "matplotlib", "tensorboard")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys\n"
        "from textmdp.agents.cli.main import main\n"
        "try:\n"
        f"    main([{command!r}, '--help'])\n"
        "finally:\n"
        f"    sys.stderr.write(repr([name for name in {HEAVY} if name in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "[]")
    assert f"textmdp {command}" in result.stdout


def test_settings_are_flat_and_name_every_option_once():
    settings = Plan("TextMath-v0", {}, imitation=ImitationConfig(steps=3), training=Config(updates=7)).settings()
    assert (settings["imitation_steps"], settings["updates"]) == (3, 7)
    fields = {name for config in (Config, Network, EvalConfig) for name in config.__dataclass_fields__}
    fields |= {f"imitation_{name}" for name in ImitationConfig.__dataclass_fields__}
    assert settings.keys() == fields - {"seed", "imitation_seed"}


def test_what_is_evaluated_on_is_held_out_where_there_is_a_split():
    assert Plan("TextMath-v0", {"difficulty": "words"}).held_out() == {"difficulty": "words", "split": "test"}
    assert Plan("TextGuess-v0", {"high": 7}).held_out() == {"high": 7}


@pytest.mark.parametrize("name", ["evaluate_every", "evaluate_episodes", "final_episodes", "checkpoint_every"])
def test_measuring_never_is_refused(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
        EvalConfig(**{name: 0})
