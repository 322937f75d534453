"""Pretrained causal language models as agents of the command line, zero-shot and as the start of training."""

import json
import sys

import pytest
from networks import MARKS, llama

from textmdp.agents.cli.main import main
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.runs.run import Run
from textmdp.envs import ByteTokenizer, LexiconTokenizer

pytestmark = MARKS
FEW = ["--episodes", "3", "--split", "test", "--set", "difficulty=one-digit", "max_response_tokens=4"]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A folder with a model and its own tokenizer, as they come from the hub."""
    folder = tmp_path_factory.mktemp("models") / "bytes"
    tokenizer = ByteTokenizer()
    LanguageModel(llama(tokenizer.vocab_size), tokenizer).save(folder)
    return str(folder)


def run(capsys, *words):
    code = main([*words])
    return code, *capsys.readouterr()


def test_any_model_is_evaluated_with_its_own_tokenizer(pretrained, capsys):
    code, out, error = run(capsys, "evaluate", pretrained, "TextMath-v0", *FEW, "--json")
    assert code == 0, error
    record = json.loads(out)
    assert record["arguments"]["tokenizer"] == pretrained
    assert record["episodes"] == 3


def test_any_model_is_watched(pretrained, capsys):
    code, out, error = run(capsys, "rollout", "TextMath-v0", "--agent", pretrained, *FEW)
    assert code == 0, error
    assert "3 episodes of TextMath-v0" in out


def test_a_model_of_the_environments_own_tokens_keeps_them(tmp_path, capsys):
    import gymnasium as gym

    tokenizer = gym.make("TextGuess-v0").unwrapped.mdp.tokenizer
    assert isinstance(tokenizer, LexiconTokenizer)
    LanguageModel(llama(tokenizer.vocab_size), tokenizer).save(tmp_path / "model")
    code, out, error = run(capsys, "evaluate", str(tmp_path / "model"), "TextGuess-v0", "--episodes", "2", "--json")
    assert code == 0, error
    assert "tokenizer" not in json.loads(out)["arguments"]


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("MODEL", [], "needs an environment: textmdp evaluate MODEL ID"),
        ("./nowhere", ["TextMath-v0"], "no agent or run './nowhere'"),
    ],
)
def test_what_is_missing_is_named(pretrained, name, words, message, capsys):
    code, _, error = run(capsys, "evaluate", name.replace("MODEL", pretrained), *words)
    assert code == 2
    assert message.replace("MODEL", pretrained) in error


def test_training_takes_the_models_tokenizer_and_no_imitation(pretrained, tmp_path, capsys):
    out = tmp_path / "run"
    small = ["--episodes", "4", "--group-size", "2", "--updates", "1", "--final-episodes", "4"]
    setting = ["--set", "difficulty=one-digit", "max_response_tokens=4"]
    words = ["train", "TextMath-v0", "--model", pretrained, "--out", str(out), *small, *setting]
    code, printed, error = run(capsys, *words)
    assert code == 0, error
    config = Run.open(out).config
    assert config["arguments"]["tokenizer"] == pretrained
    assert config["settings"]["imitation_steps"] == 0
    assert "before training" in printed
    assert "random weights" not in printed
    assert run(capsys, "evaluate", str(out), "--episodes", "2")[0] == 0


def test_the_module_of_an_id_survives_in_the_run(tmp_path, monkeypatch, capsys):
    import textmdp.envs

    (tmp_path / "my_tasks.py").write_text(
        "from textmdp.envs import Reply, Score, Task, register_task\n"
        "class Yes(Task[int]):\n"
        "    num_problems = 3\n"
        "    max_response_tokens = 4\n"
        "    def problem(self, index): return index, 'say x'\n"
        "    def reply(self, state, response, rng):\n"
        "        return Reply(state, '', Score.of(ok=float(response == 'x')), True)\n"
        "    def demonstrate(self, state, rng): return 'x'\n"
        "register_task('Yes', 'my_tasks:Yes')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    small = [
        "--episodes",
        "4",
        "--group-size",
        "2",
        "--updates",
        "1",
        "--final-episodes",
        "3",
        "--imitation-steps",
        "0",
    ]
    sizes = ["--layers", "1", "--width", "16", "--heads", "2"]
    try:
        assert main(["train", "my_tasks:Yes-v0", "--out", "run", *small, *sizes]) == 0
        # As in another process:
        del textmdp.envs.TASKS["Yes"], sys.modules["my_tasks"]
        assert run(capsys, "evaluate", "run", "--episodes", "2")[0] == 0
        assert "my_tasks" in sys.modules
    finally:
        import gymnasium as gym

        textmdp.envs.TASKS.pop("Yes", None)
        for name in ("Yes-v0", "YesResponse-v0"):
            gym.registry.pop(name, None)
