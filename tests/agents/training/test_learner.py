"""Gradients of every algorithm against exact ones, on an MDP small enough to enumerate all responses."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import Counting

from textmdp.agents.algorithms.advantages import rewards_to_go
from textmdp.agents.algorithms.config import Config
from textmdp.agents.algorithms.objectives import OBJECTIVES
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.models.value_function import values_before
from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.agents.training.learner import Learner
from textmdp.envs import TokenVectorEnv
from textmdp.envs.core.episode import POLICY
from textmdp.envs.tokenizers import LexiconTokenizer

TOKENIZER = LexiconTokenizer("abc")  # with the end of the turn, a policy has four tokens
END, LETTERS = TOKENIZER.end_id, TOKENIZER.encode("abc")
GROUPED = [name for name, row in OBJECTIVES.items() if row.grouped and not row.whitened]
ALONE = [name for name, row in OBJECTIVES.items() if not row.grouped and not row.whitened]


pytestmark = pytest.mark.usefixtures("one_thread")


def responses(length):
    """All responses of at most `length` tokens: those that end, and those cut at the maximum length."""
    ended = [[*response, END] for n in range(length) for response in itertools.product(LETTERS, repeat=n)]
    return ended + [[*response] for response in itertools.product(LETTERS, repeat=length)]


def every_episode(model, length, temperature=1.0):
    """A batch of one episode for each response, with a reward for each token that depends on the tokens so far."""
    found = responses(length)
    tokens = np.zeros((len(found), length + 1), np.int64)
    roles = np.zeros(tokens.shape, np.int8)
    rewards = np.zeros(tokens.shape)
    rng, earned = np.random.default_rng(7), {}
    for i, ids in enumerate(found):
        tokens[i, : len(ids) + 1] = [LETTERS[0], *ids]
        roles[i, : len(ids) + 1] = [1, *[2] * len(ids)]
        for t in range(len(ids)):
            rewards[i, t + 1] = earned.setdefault((*ids[: t + 1],), rng.normal())
    with torch.no_grad():
        log_probs = model.log_probs(torch.from_numpy(tokens), torch.from_numpy(roles), temperature).log_probs.numpy()
    batch = Trajectories(
        tokens=tokens,
        roles=roles,
        rewards=rewards,
        turns=np.where(roles == 2, 0, -1).astype(np.int32),
        terminated=np.ones(len(found), bool),
        truncated=np.zeros(len(found), bool),
        problems=np.zeros(len(found), np.int64),
        groups=np.zeros(len(found), np.int64),
        log_probs=log_probs,
        finish_reasons=["stop"] * len(found),
        episodes=[],
    )
    return batch


def pick(batch, rows, groups):
    """Some episodes of a batch as a batch, with the given groups."""
    arrays = {name: value[rows] for name, value in vars(batch).items() if isinstance(value, np.ndarray)}
    return replace(batch, **{**arrays, "problems": groups, "groups": groups}, finish_reasons=["stop"] * len(rows))


def sampled(model, length, count, seed):
    """A batch of `count` episodes sampled from the policy, all in one group."""
    batch = every_episode(model, length)
    shares = np.exp(batch.log_probs.sum(1, dtype=np.float64))
    rows = np.random.default_rng(seed).choice(len(batch), count, p=shares / shares.sum())
    return pick(batch, rows, np.zeros(count, np.int64))


def tiny(seed=0):
    return LanguageModel.tiny(TOKENIZER, 8, layers=1, width=16, heads=2, seed=seed)


def learner(name, length, model=None, reference=None, **options):
    config = Config(**{"algorithm": name, "aggregation": "constant", "epochs": 1, "minibatches": 1, **options})
    return Learner(model or tiny(), config, length, reference)


def flat(parts):
    return torch.cat([part.flatten() for part in parts])


def prepare(learner, batch, greedy=None):
    """The `TrainBatch` of a batch before equal episodes are merged."""
    return learner.prepare(batch, learner.unique_episodes(batch, greedy), greedy)[0]


def expected_gradient(learner, batch, shares, greedy=None):
    """The gradient of the loss of a batch whose episodes have the weights `shares` instead of 1/B."""
    targets = prepare(learner, batch, greedy)
    weights = targets.weights * torch.from_numpy(shares * len(batch)).float()[:, None]
    loss, _ = learner._loss(replace(targets, weights=weights))
    return flat(torch.autograd.grad(loss, [*learner.model.network.parameters()]))


def exact_gradient(model, batch, returns, temperature=1.0):
    """-∇ Σ p(episode) × return, over all episodes."""
    tokens, roles = torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)
    probabilities = model.log_probs(tokens, roles, temperature).log_probs.sum(1).exp()
    value = (probabilities * torch.from_numpy(returns).float()).sum()
    return flat(torch.autograd.grad(-value, [*model.network.parameters()]))


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()) + 1e-8, rtol=1e-3)


def at_ends(batch, returns):
    """Rewards of whole episodes on their last tokens, (B, T)."""
    rewards = np.zeros(batch.tokens.shape)
    rewards[np.arange(len(batch)), (batch.roles > 0).sum(1) - 1] = returns
    return rewards


def exact_gradient_of(model, batch, weights):
    """-Σ weight × ∇ log π(episode)."""
    tokens, roles = torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)
    value = (model.log_probs(tokens, roles).log_probs.sum(1) * torch.from_numpy(weights).float()).sum()
    return flat(torch.autograd.grad(-value, [*model.network.parameters()]))


@pytest.mark.parametrize("level", ["token", "response"])
@pytest.mark.parametrize("name", ALONE)
def test_the_expected_gradient_is_that_of_the_expected_return(name, level):
    """For any unbiased baseline: a number, the return of the greedy policy, or a value function with λ = 1."""
    length, temperature = 4, 0.8
    one = learner(name, length, level=level, temperature=temperature)
    batch = every_episode(one.model, length, temperature)
    assert len(batch) == 121
    if level == "response":  # a response has the advantage of its first token
        batch.rewards = at_ends(batch, batch.returns)
    one.running_mean = 0.7
    if one.value is not None:  # any value function will do
        with torch.no_grad():
            for weights in one.value.parameters():
                weights.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(1))
    shares = np.exp(batch.log_probs.sum(1, dtype=np.float64))
    assert shares.sum() == pytest.approx(1)
    found = expected_gradient(one, batch, shares, greedy=np.full(len(batch), 0.3))
    close(found, exact_gradient(one.model, batch, batch.returns, temperature) / length)


@pytest.mark.parametrize("name", ["reinforce", "actor-critic"])
def test_with_its_outer_discount_the_gradient_is_that_of_the_discounted_return(name):
    length, gamma = 4, 0.6
    one = learner(name, length, gamma=gamma, exact_discount=True)
    batch = every_episode(one.model, length)
    discounted = rewards_to_go(batch.rewards, batch.mask, gamma)[:, 1]
    found = expected_gradient(one, batch, np.exp(batch.log_probs.sum(1, dtype=np.float64)))
    close(found, exact_gradient(one.model, batch, discounted) / length)
    plain = learner(name, length, gamma=gamma)
    biased = expected_gradient(plain, batch, np.exp(batch.log_probs.sum(1, dtype=np.float64)))
    assert torch.nn.functional.cosine_similarity(biased, found, dim=0) < 0.999


@pytest.mark.parametrize("name", GROUPED)
def test_groups_of_two_have_the_gradient_of_their_baseline(name):
    """All pairs of episodes: leave-one-out is exact, the group mean halves the gradient, GRPO matches its formula."""
    length = 3
    one = learner(name, length, group_size=2)
    single = every_episode(one.model, length)
    shares = np.exp(single.log_probs.sum(1, dtype=np.float64))
    n, returns = len(single), single.returns
    first, second = np.divmod(np.arange(n * n), n)
    rows = np.stack([first, second], 1).ravel()
    batch = pick(single, rows, np.repeat(np.arange(n * n), 2))
    batch.rewards = at_ends(batch, batch.returns)
    single.rewards = at_ends(single, returns)
    pairs = np.repeat(shares[first] * shares[second], 2) / 2
    found = expected_gradient(one, batch, pairs)
    if name == "grpo":  # |R - mean| is half the difference d, and the deviation of two is d / √2
        difference = returns[:, None] - returns
        advantages = (difference / 2 / (np.abs(difference) / np.sqrt(2) + 1e-4)) @ shares
        expected = exact_gradient_of(one.model, single, shares * advantages)
    else:
        expected = exact_gradient(one.model, single, returns) * (1.0 if name.startswith("rloo") else 0.5)
    close(found, expected / length)


def test_the_divergence_in_the_reward_is_that_of_whole_episodes():
    """∇(E[R] - β KL(π || π_ref)), the divergence summed over all episodes."""
    length, beta = 4, 0.3
    one = learner("reinforce", length, reference=tiny(5), kl_coef=beta)
    batch = every_episode(one.model, length)
    tokens, roles = torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)
    with torch.no_grad():
        other = one.reference.log_probs(tokens, roles).log_probs.sum(1)
    own = one.model.log_probs(tokens, roles).log_probs.sum(1)
    value = (own.exp() * (torch.from_numpy(batch.returns).float() - beta * (own - other))).sum()
    expected = flat(torch.autograd.grad(-value, [*one.model.network.parameters()]))
    found = expected_gradient(one, batch, np.exp(batch.log_probs.sum(1, dtype=np.float64)))
    close(found, expected / length)


@pytest.mark.parametrize("estimator", ["exact", "k2"])
def test_the_divergence_in_the_loss_is_that_of_the_states_that_are_visited(estimator):
    """k2's gradient on fresh samples is, on average, that of the exact divergence of each state."""
    length = 3
    one = learner("reinforce", length, reference=tiny(5), kl_coef=0.5, kl_placement="loss", kl_estimator=estimator)
    batch = every_episode(one.model, length)
    batch.rewards[:] = 0
    shares = np.exp(batch.log_probs.sum(1, dtype=np.float64))
    found = expected_gradient(one, batch, shares)
    tokens, roles = torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)
    mask = torch.from_numpy(batch.mask)
    own = one.model.log_probs(tokens, roles).full_log_probs
    with torch.no_grad():
        other = one.reference.log_probs(tokens, roles).full_log_probs
    each = (own.exp() * (own - other)).sum(-1)  # (N,)
    visits = torch.from_numpy(np.broadcast_to(shares[:, None], batch.mask.shape).copy()).float()[mask]
    expected = flat(torch.autograd.grad(0.5 * (visits * each).sum(), [*one.model.network.parameters()]))
    close(found, expected / length)


def test_the_entropy_bonus_is_that_of_the_states_that_are_visited():
    one = learner("reinforce", 3, entropy_coef=0.5)
    batch = every_episode(one.model, 3)
    batch.rewards[:] = 0
    shares = np.exp(batch.log_probs.sum(1, dtype=np.float64))
    found = expected_gradient(one, batch, shares)
    statistics = one.model.log_probs(torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles))
    value = (torch.from_numpy(shares).float()[:, None] * statistics.entropy).sum()
    expected = flat(torch.autograd.grad(-0.5 * value, [*one.model.network.parameters()]))
    close(found, expected / 3)


def test_the_loss_of_the_value_function_leaves_a_detached_policy_alone():
    for trunk, moved in (("detached", False), ("shared", True), ("own", False)):
        one = learner("actor-critic", 3, value_trunk=trunk, entropy_coef=0.0)
        batch = every_episode(one.model, 3)
        with torch.no_grad():
            one.value.head[2].weight.fill_(0.1)
        targets = prepare(one, batch)
        loss, statistics = one._loss(replace(targets, advantages=torch.zeros_like(targets.advantages)))
        assert statistics["value_loss"] > 0
        gradients = torch.autograd.grad(loss, [*one.model.network.parameters()], allow_unused=True)
        assert any(part is not None and bool(part.any()) for part in gradients) == moved
        assert all(
            bool(part.any()) for part in torch.autograd.grad(one._loss(targets)[0], [*one.value.head[2].parameters()])
        )


def test_a_value_function_learns_what_is_earned():
    one = learner("actor-critic", 3, value_trunk="own", learning_rate=0.0)
    batch = every_episode(one.model, 3)
    batch.rewards = at_ends(batch, batch.tokens[:, 1] == LETTERS[0])
    history = [one.learn(batch) for _ in range(150)]
    assert history[0]["explained_variance"] == pytest.approx(0, abs=1e-6)  # it begins at 0 everywhere
    assert history[-1]["explained_variance"] > 0.4  # unpredictable before the first token
    assert history[-1]["value_loss"] < 0.5 * history[0]["value_loss"]


def test_several_epochs_go_further_than_one_and_are_clipped():
    gaps = {}
    for name in ("reinforce-group", "dr-grpo"):
        one = learner(name, 3, epochs=12, learning_rate=3e-2, warmup_updates=0, group_size=2)
        metrics = one.learn(every_episode(one.model, 3))
        gaps[name] = metrics["approx_kl"]
        assert metrics["ratio_gap_first"] < 1e-4  # before the first step, the policy is the one that sampled
        assert (metrics["clip_fraction"] > 0) == (name == "dr-grpo")
    assert gaps["dr-grpo"] < gaps["reinforce-group"]


def test_the_coefficient_of_the_divergence_adapts():
    one = learner("reinforce", 3, reference=tiny(5), kl_coef=0.1, kl_target=1e-3, kl_horizon=40)
    batch = sampled(one.model, 3, 400, seed=0)
    first, second = one.learn(batch), one.learn(batch)
    assert first["kl"] > 1e-3
    assert first["kl_coef"] == 0.1
    assert second["kl_coef"] == pytest.approx(0.1 * (1 + 0.2 * len(batch) / 40))


def test_a_policy_stays_near_its_reference_the_more_the_coefficient_asks():
    apart = []
    for beta in (0.0, 0.05, 1.0):
        reference = tiny()
        one = learner("reinforce-group", 3, reference=reference, kl_coef=beta, kl_placement="loss", learning_rate=1e-2)
        for seed in range(20):
            one.learn(sampled(one.model, 3, 200, seed))
        batch = every_episode(one.model, 3)
        tokens, roles = torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)
        with torch.no_grad():
            own, other = (m.log_probs(tokens, roles).log_probs.sum(1) for m in (one.model, reference))
        apart.append(float((own.exp() * (own - other)).sum()))
    assert apart[0] > apart[1] > apart[2] >= 0


@pytest.mark.parametrize("name", ["rloo", "ppo", "grpo"])
def test_episodes_that_are_alike_are_read_once(name):
    one = learner(name, 3, entropy_coef=0.1, group_size=2)
    batch = sampled(one.model, 3, 300, seed=2)
    targets = prepare(one, batch)
    merged = targets.deduplicate(one.unique_episodes(batch))
    assert len(merged) <= len(every_episode(one.model, 3)) < len(targets)
    apart, together = (
        flat(torch.autograd.grad(one._loss(t)[0], [*one.model.network.parameters()])) for t in (targets, merged)
    )
    close(together, apart)


def test_values_are_the_same_for_episodes_that_are_alike():
    one = learner("ppo", 3, group_size=2, micro_batch=7, value_learning_rate=0.1)
    one.learn(sampled(one.model, 3, 300, seed=2))
    targets = prepare(one, sampled(one.model, 3, 300, seed=3))
    values_of = {}
    for tokens, values in zip(targets.tokens, targets.old_values, strict=True):
        values_of.setdefault(bytes(tokens.numpy()), set()).add(bytes(values.numpy()))
    assert 1 < len(values_of) < len(targets)
    assert all(len(values) == 1 for values in values_of.values())
    with torch.no_grad():
        hidden = one.model.log_probs(targets.tokens, targets.roles, hidden=True).hidden
        values = values_before(one.value(targets.tokens, hidden), targets.roles == POLICY)
    assert values.abs().max() > 0.01
    close(targets.old_values, values)


def test_user_tokens_are_never_trained_on():
    envs = TokenVectorEnv(Counting(), 4, autoreset_mode="Disabled", copy=False)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, layers=1, width=16, heads=2)
    batch = rollout(LanguageModelAgent(model), envs, seed=0)
    assert (batch.roles[:, 1:-1] == 1).any(), "the environment speaks between turns"
    targets = prepare(Learner(model, Config(algorithm="reinforce", entropy_coef=0.1), 9), batch)
    others = torch.from_numpy(~batch.mask)
    assert not targets.weights[others].any()
    assert not targets.advantages[others].any()
    ended = batch.tokens[batch.mask] == envs.mdp.tokenizer.end_id
    assert (targets.weights[torch.from_numpy(batch.mask)][torch.from_numpy(ended)] > 0).all(), (
        "the end of the turn is trained on"
    )
