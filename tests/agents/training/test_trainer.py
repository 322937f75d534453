"""The trainer: gradients for any micro-batch, groups, seeds, checks of the first batch, resuming, learning."""

import itertools

import numpy as np
import pytest
import torch
from toys import Counting, Digits, Echo

from textmdp.agents.algorithms.baselines import frac_zero_variance_groups
from textmdp.agents.algorithms.config import Config
from textmdp.agents.algorithms.objectives import AGGREGATIONS, OBJECTIVES
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.models.packing import UniqueRows
from textmdp.agents.rollouts.rollout import make_envs, rollout
from textmdp.agents.rollouts.trajectories import merge
from textmdp.agents.training.learner import Learner
from textmdp.agents.training.train_batch import check_log_probs
from textmdp.agents.training.trainer import Trainer
from textmdp.envs import Reply, Score, Task, TokenVectorEnv
from textmdp.envs.tasks.text_guess import TextGuess

pytestmark = pytest.mark.usefixtures("one_thread")


class Pair(Task[int]):
    """Responses of two tokens out of two with a reward for each: small enough to enumerate."""

    num_problems = 2
    max_response_tokens = 2
    max_text_bytes = 4
    rewards = {"aa": 1.0, "ab": 0.0, "ba": 0.25, "bb": 0.5}  # noqa: RUF012

    def problem(self, index):
        return index, "ab"[index]

    def reply(self, state, response, rng):
        return Reply(state, "", Score.of(value=self.rewards.get(response, 0.125)), True)

    def demonstrate(self, state, rng):
        return "aa"

    def vocabulary(self):
        return ("a", "b")


def vector(task, rows):
    return TokenVectorEnv(task, rows, autoreset_mode="Disabled", copy=False)


def make_trainer(task, seed=0, **options):
    config = Config(**{"episodes": 16, "group_size": 4, "seed": seed, **options})
    envs = vector(task, config.episodes)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, layers=1, width=16, heads=2, seed=seed)
    return Trainer(model, envs, config)


def gradient(trainer):
    return torch.cat([weights.grad.flatten() for weights in trainer.model.network.parameters()])


def without_times(metrics):
    return {name: value for name, value in metrics.items() if "seconds" not in name}


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("algorithm", OBJECTIVES)
def test_the_gradient_is_the_same_for_any_micro_batch(algorithm, aggregation):
    batch = make_trainer(Counting()).collect()
    batch.rewards[batch.mask] += np.random.default_rng(0).normal(size=batch.mask.sum())  # or there may be no signal
    found = []
    for size in (0, 1, 5, 16):
        trainer = make_trainer(
            Counting(),
            algorithm=algorithm,
            aggregation=aggregation,
            micro_batch=size,
            max_grad_norm=1e9,
            epochs=1,
            minibatches=1,
            entropy_coef=0.01,
            kl_coef=0.1,
            kl_placement="loss",
        )
        trainer.learner.learn(batch, greedy_returns=np.zeros(16))
        found.append(gradient(trainer))
    assert found[0].norm() > 1e-4
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-6, rtol=1e-4)


def test_the_mean_gradient_is_that_of_the_expected_return():
    """Against the exact gradient over all responses; the mean of a group of G shrinks it by (G - 1)/G."""
    rows, group_size = 4096, 4
    for algorithm, row in OBJECTIVES.items():
        if row.whitened or row.scale_by_std:
            continue  # these scale the gradient
        trainer = make_trainer(
            Pair(),
            episodes=rows,
            group_size=group_size,
            algorithm=algorithm,
            max_grad_norm=1e9,
            epochs=1,
            minibatches=1,
        )
        model, tokenizer = trainer.model, trainer.model.tokenizer
        end, letters = tokenizer.end_id, tokenizer.encode("ab")
        responses = [[end]] + [[x, y] for x, y in itertools.product(letters, [*letters, end])]
        value = torch.zeros(())
        batch = trainer.collect()
        shares = np.bincount(batch.problems, minlength=2) / rows
        for problem, letter in enumerate(letters):
            for response in responses:
                tokens = torch.tensor([[letter, *response]])
                roles = torch.tensor([[1] + [2] * len(response)])
                probability = model.log_probs(tokens, roles).log_probs.sum().exp()
                reward = Pair.rewards.get(tokenizer.decode(response), 0.125)
                value = value + shares[problem] * probability * reward
        exact = torch.autograd.grad(-value, [*model.network.parameters()])
        exact = torch.cat([part.flatten() for part in exact]) / trainer.envs.mdp.max_response_tokens
        trainer.learner.learn(batch, trainer.greedy_returns(batch) if algorithm == "remax" else None)
        cosine = torch.nn.functional.cosine_similarity(gradient(trainer), exact, dim=0)
        assert cosine > 0.95, algorithm
        factor = (group_size - 1) / group_size if row.baseline == "group" else 1.0
        assert gradient(trainer) @ exact / (exact @ exact) == pytest.approx(factor, abs=0.1), algorithm


def test_the_greedy_baseline_plays_a_problem_once():
    trainer = make_trainer(Pair(), seed=2, algorithm="remax", gamma=0.9)  # a seed that answers the two differently
    batch, counts = trainer.collect(), trainer.envs.rng_state[1]
    found = trainer.greedy_returns(batch)
    begun = np.subtract(trainer.envs.rng_state[1], counts)
    assert begun.sum() == len({*batch.problems.tolist()}) == 2
    each = rollout(trainer._greedy, trainer.envs, problems=batch.problems.tolist())
    expected = [row.sum() * 0.9 ** (mask.sum() - 1) for row, mask in zip(each.rewards, each.mask, strict=True)]
    np.testing.assert_allclose(found, expected)
    assert len({*found.tolist()}) == 2


def test_every_metric_follows_from_the_seed():
    one, same, other = (
        [without_times(metrics) for metrics in make_trainer(Counting(), seed, updates=3).run()] for seed in (0, 0, 1)
    )
    assert one == same
    assert one != other


def test_metrics_are_flat_floats_that_count_up():
    first, second = make_trainer(Counting(), updates=2).run()
    assert all(type(value) is float for value in first.values())
    assert (first["update"], second["update"]) == (1, 2)
    assert (first["episodes"], second["episodes"]) == (16, 32)
    assert second["tokens"] > first["tokens"]
    assert first["turns"] == 3
    assert 1 <= first["response_tokens"] <= 3
    assert second["seconds"] >= sum(second[f"seconds_{part}"] for part in ("env", "decoding", "update"))


def test_the_iteration_may_stop_and_continue():
    whole = [without_times(metrics) for metrics in make_trainer(Echo(), updates=4).run()]
    trainer = make_trainer(Echo(), updates=4)
    run = trainer.run()
    parts = [next(run)]
    run.close()
    parts += trainer.run()
    assert [without_times(metrics) for metrics in parts] == whole


def test_groups_are_the_episodes_started_together():
    """TextGuess has few problems: groups on the same one stay apart, in baselines and metrics alike."""
    trainer = make_trainer(TextGuess(), episodes=512, group_size=8)
    batch = trainer.collect()
    assert (batch.problems.reshape(-1, 8) == batch.problems[::8, None]).all()
    assert len({*batch.problems.tolist()}) < 64
    blocks = np.arange(512) // 8
    assert (batch.groups == blocks).all()
    batch.rewards[batch.mask] += np.random.default_rng(0).normal(size=batch.mask.sum())
    returns = batch.returns.reshape(-1, 8)
    for name, baseline in {
        "reinforce-group": returns.mean(1, keepdims=True),
        "rloo": (returns.sum(1, keepdims=True) - returns) / 7,
    }.items():
        learner = Learner(trainer.model, Config(algorithm=name), 9)
        advantages = learner.prepare(batch, learner.unique_episodes(batch))[0].advantages.numpy()
        first = advantages[np.arange(512), batch.mask.argmax(1)]
        np.testing.assert_allclose(first, (returns - baseline).ravel(), atol=1e-5)


def test_replaced_groups_stay_the_episodes_started_together():
    trainer = make_trainer(TextGuess(), episodes=64, group_size=8, resample=3)
    collected = []
    collect = trainer._collect

    def recorded():
        collected.append(collect())
        return collected[-1]

    trainer._collect = recorded
    batch = trainer.collect()
    assert len(collected) > 1
    numbers, counts = np.unique(batch.groups, return_counts=True)
    assert counts.tolist() == [8] * 8
    for group in numbers:
        (rows,) = (batch.groups == group).nonzero()
        members = {id(batch.episodes[row]) for row in rows}
        assert any(
            members == {id(one.episodes[row]) for row in (one.groups == number).nonzero()[0]}
            for one in collected
            for number in np.unique(one.groups)
        )


def test_an_episode_cut_within_a_turn_bootstraps_from_the_same_moment():
    """By turns, no time passes between the last token of an unfinished turn and the state after it."""
    envs = TokenVectorEnv(Counting(), 16, context_length=13, autoreset_mode="Disabled", copy=False)
    model = LanguageModel.tiny(envs.mdp.tokenizer, 13, layers=1, width=16, heads=2)
    trainer = Trainer(model, envs, Config(algorithm="actor-critic", episodes=16, discount_unit="turns", gamma=0.5))
    learner = trainer.learner
    with torch.no_grad():
        learner.value.head[2].bias.fill_(1.0)  # V = 1 everywhere
    batch = trainer.collect()
    cut = batch.truncated & (np.array(batch.finish_reasons) == "context")
    between = batch.truncated & ~cut
    assert cut.any()
    assert between.any()
    batch.rewards[:] = 0
    advantages = learner.prepare(batch, learner.unique_episodes(batch))[0].advantages.numpy()
    last = advantages[np.arange(16), batch.mask.shape[1] - 1 - batch.mask[:, ::-1].argmax(1)]  # δ = γ^τ V - V
    np.testing.assert_allclose(last[cut], 0.0, atol=1e-6)
    np.testing.assert_allclose(last[between], -0.5, atol=1e-6)


@pytest.mark.parametrize("algorithm", ["ppo", "actor-critic", "reinforce"])
def test_more_minibatches_than_distinct_episodes(algorithm):
    trainer = make_trainer(Echo(), algorithm=algorithm, minibatches=16, epochs=2)
    batch = trainer.collect()
    batch = merge([batch], [np.zeros(16, np.int64)])  # sixteen times the same episode
    batch.rewards[0, batch.mask[0].argmax()] = 1.0  # of which one earned more
    metrics = trainer.learner.learn(batch)
    assert metrics["grad_norm"] > 0
    assert ("value_loss" in metrics) == (algorithm != "reinforce")


def test_metrics_count_an_episode_as_often_as_it_is_in_the_batch():
    """Whether equal episodes are read once or each on its own."""
    found = []
    for merged in (True, False):
        trainer = make_trainer(Echo(), algorithm="dr-grpo", epochs=4, learning_rate=0.05, warmup_updates=0)
        batch = trainer.collect()
        batch = merge([batch], [np.array([0, 1, 2, 3] + [4] * 12)])
        batch.rewards[np.arange(16), batch.mask.argmax(1)] += np.array([1.0, 2.0, 3.0, 4.0] + [5.0] * 12)
        batch.groups[:] = 0
        if not merged:
            trainer.learner.unique_episodes = lambda batch, greedy=None: UniqueRows(np.arange(16), np.arange(16))
        found.append(without_times(trainer.learner.learn(batch)))
    assert found[0]["approx_kl"] > 1e-3
    assert found[0]["clip_fraction"] > 0
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_the_first_batch_is_refused_where_the_policies_differ(monkeypatch):
    trainer = make_trainer(Echo())
    trainer.agent.temperature = 1.01  # a bug: sampled with another temperature than is trained
    with pytest.raises(AssertionError, match="not the one that acted"):
        next(trainer.run())


def test_log_probs_that_are_not_numbers_or_not_there_are_refused():
    trainer = make_trainer(Echo())
    batch = trainer.collect()
    with pytest.raises(AssertionError, match="differ by nan"):
        check_log_probs(batch, np.full_like(batch.log_probs, np.nan), 1e-4)
    batch.log_probs = None
    with pytest.raises(ValueError, match="no log-probabilities"):
        check_log_probs(batch, np.zeros(batch.tokens.shape, np.float32), 1e-4)


def test_a_batch_without_signal_leaves_the_weights_alone():
    trainer = make_trainer(Echo())
    batch = trainer.collect()
    batch.rewards[:] = 0
    before = [weights.clone() for weights in trainer.model.network.parameters()]
    assert trainer.learner.learn(batch)["grad_norm"] == 0
    assert all(map(torch.equal, before, trainer.model.network.parameters()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "ppo2"}, "'ppo2' is none of 'reinforce'"),
        ({"aggregation": "mean"}, "'mean' is none of"),
        ({"episodes": 100, "group_size": 8}, "must divide"),
        ({"group_size": 1}, "group_size=2 or more"),
        ({"episodes": 0}, "episodes=0"),
        ({"kl_placement": "loss", "kl_estimator": "k1", "kl_coef": 0.1}, "expected gradient of 0"),
        ({"kl_placement": "reward", "kl_estimator": "k3"}, "is for the loss"),
        ({"kl_target": 3.0}, "use kl_coef above 0"),
        ({"gamma": 1.5}, r"gamma=1\.5 must lie"),
        ({"dual_clip": 0.5}, "above 1"),
        ({"level": "response", "aggregation": "token-mean"}, "aggregation='token-mean' averages over tokens"),
        ({"level": "response", "algorithm": "ppo"}, "'token-mean', the default of algorithm='ppo', averages"),
        ({"level": "response", "algorithm": "grpo"}, "'sequence-mean', the default of algorithm='grpo', averages"),
        ({"level": "response", "aggregation": "sequence-mean"}, "aggregation='sequence-mean' averages over tokens"),
        ({"temperature": 0.0}, r"temperature=0\.0 must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be a finite number"),
        ({"updates": -1}, "updates=-1 must not be negative"),
        ({"level": "word"}, "'word' is none of 'token', 'response'"),
        ({"epochs": -1}, "must not be negative"),
        ({"episodes": 8, "minibatches": 9}, "minibatches=9 must be at most"),
    ],
)
def test_invalid_configs_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)


def test_environments_that_do_not_fit_are_refused():
    envs = vector(Echo(), 8)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, width=16, heads=2)
    with pytest.raises(ValueError, match="8 rows"):
        Trainer(model, envs, Config(episodes=16))
    other = vector(Counting(), 16)
    with pytest.raises(ValueError, match="the model has the tokenizer"):
        Trainer(model, other, Config(episodes=16))
    with pytest.raises(ValueError, match="no token-level id"):
        make_envs("TextMathResponse-v0", 2)


@pytest.mark.parametrize("algorithm", OBJECTIVES)
def test_every_row_learns_a_small_task(algorithm):
    trainer = make_trainer(Pair(), episodes=128, updates=60, learning_rate=5e-3, algorithm=algorithm)
    returns = [metrics["return"] for metrics in trainer.run()]
    assert returns[0] < 0.85
    assert np.mean(returns[-5:]) > 0.9  # the best pair earns 1, the others 0, 0.25 and 0.5


OPTIONS = [
    {"algorithm": "ppo", "micro_batch": 5, "gae_lambda": 0.9, "value_clip": 0.2, "value_trunk": "shared"},
    {"algorithm": "grpo", "kl_coef": 0.1, "kl_placement": "loss", "kl_target": 0.5, "minibatches": 4, "resample": 2},
    {"algorithm": "remax", "discount_unit": "turns", "gamma": 0.9, "entropy_coef": 0.01},
    {"algorithm": "reinforce-running", "level": "response", "kl_coef": 0.05},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_resumed_run_is_the_uninterrupted_one(options, tmp_path):
    """Weights, optimizer, value function, generators, the environment's random state, β: bit for bit."""
    whole = make_trainer(Counting(), updates=6, **options)
    metrics = [without_times(one) for one in whole.run()]
    first = make_trainer(Counting(), updates=6, **options)
    parts = [without_times(first.step()) for _ in range(3)]
    torch.save(first.state(), tmp_path / "state.pt")
    second = make_trainer(Counting(), updates=6, **options)
    second.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    parts += [without_times(one) for one in second.run()]
    np.testing.assert_equal(parts, metrics)  # where NaN is NaN
    for kept, expected in zip(
        second.model.network.state_dict().values(), whole.model.network.state_dict().values(), strict=True
    ):
        assert torch.equal(kept, expected)


def test_a_grammar_is_kept_to_and_trained_with():
    trainer = make_trainer(Digits(), grammar=True, algorithm="ppo", updates=3)
    batch = trainer.collect()
    assert batch.allowed is not None
    chosen = np.take_along_axis(batch.allowed, batch.tokens[:, :, None], 2)[:, :, 0]
    assert chosen[batch.mask].all()
    for metrics in trainer.run():
        assert metrics["log_prob_gap"] < 1e-4


def test_groups_without_a_signal_are_replaced():
    plain, dynamic = (make_trainer(Echo(), episodes=32, group_size=4, resample=n) for n in (0, 30))
    before, batch = plain.collect(), dynamic.collect()
    silent = [frac_zero_variance_groups(one.returns, one.groups) for one in (before, batch)]
    assert silent[0] > silent[1]
    assert dynamic._frac_zero_variance == silent[0]  # the metric is of the batch before
    assert len(batch) == 32
    numbers, counts = np.unique(batch.groups, return_counts=True)
    assert counts.tolist() == [4] * 8
    assert all(len({*batch.problems[batch.groups == group].tolist()}) == 1 for group in numbers)
