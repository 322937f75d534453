"""Tasks for TRL: prompts and rewards are those of the environment, and its `GRPOTrainer` takes both."""

import gymnasium as gym
import pytest

from textmdp.agents.rollouts.trl import trl_dataset, trl_reward

pytest.importorskip("datasets")


def task_of(name, **options):
    return gym.make(name, **options).unwrapped.mdp.task


def test_rewards_are_those_of_the_environment():
    env = gym.make("TextMathResponse-v0").unwrapped
    task = env.mdp.task
    table, reward = trl_dataset(task, 5, seed=3), trl_reward(task)
    assert table.column_names == ["prompt", "problem"]
    for row in table:
        env.reset(options={"problem": row["problem"]})
        assert env.episode.messages[0] == row["prompt"]
        right = env.demonstrate()
        assert reward(prompts=[row["prompt"]] * 2, completions=[right, "no"], problem=[row["problem"]] * 2) == [1, 0]
    assert trl_dataset(task, 5, seed=3)["problem"][:] == table["problem"][:]


def test_messages_are_graded_by_their_last():
    task = task_of("TextMath-v0")
    [row] = trl_dataset(task, 1, chat=True)
    state, text = task.problem(row["problem"])
    assert row["prompt"] == [{"role": "user", "content": text}]
    said = [{"role": "assistant", "content": task.demonstrate(state, None)}]
    assert trl_reward(task)(completions=[said], problem=[row["problem"]], extra=[1]) == [1.0]


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="is a dialogue of up to 4 turns"):
        trl_reward(task_of("TextGuess-v0"))
    with pytest.raises(ValueError, match="give count"):
        trl_dataset(task_of("TextMath-v0"))


def test_trl_trains_on_a_task(tmp_path):
    trl = pytest.importorskip("trl")
    from textmdp.agents.models.language_model import LanguageModel
    from textmdp.envs import ByteTokenizer

    tokenizer, task = ByteTokenizer(), task_of("TextMath-v0", difficulty="one-digit")
    model = LanguageModel.tiny(tokenizer, 64, layers=1, width=16, heads=2)
    config = trl.GRPOConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=4,
        max_steps=1,
        report_to="none",
        use_cpu=True,
    )
    trainer = trl.GRPOTrainer(
        model.network,
        reward_funcs=trl_reward(task),
        train_dataset=trl_dataset(task, 8),
        args=config,
        processing_class=tokenizer.to_transformers(),
    )
    trainer.train()
