"""Exact values equal brute force over whole episodes, on all diagnostics and on a task with hidden states."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from toys import Counting

from textmdp.agents.algorithms.advantages import rewards_to_go, time_steps
from textmdp.agents.credit.exact_values import exact_values, mdp_of
from textmdp.agents.credit.prefix_tree import TreeTooLargeError
from textmdp.agents.credit.tree_growth import grow_tree
from textmdp.agents.rollouts.rollout import make_envs, rollout
from textmdp.agents.rollouts.scripted import CarelessExpertAgent, ExpertAgent, NoisyExpertAgent, RandomAgent
from textmdp.envs.core.mdp import TextMDP
from textmdp.envs.tasks.diagnostics import (
    DIAGNOSTICS,
    TextDepth,
    TextDistractor,
    TextKeyDoor,
    TextMemory,
    TextStopping,
    TextUmbrella,
)
from textmdp.envs.tasks.text_guess import TextGuess

#: Short episodes, since brute force looks at every pair of an episode and a chance.
TASKS = [
    TextUmbrella(length=2),
    TextDistractor(),
    TextKeyDoor(length=1),
    TextStopping(turns=3),
    *(task() for task in DIAGNOSTICS if task not in (TextUmbrella, TextDistractor, TextKeyDoor, TextStopping)),
    TextGuess(low=1, high=3),
]


def name(task):
    return type(task).__name__


def random_table(seed=0):
    """Probabilities that are a function of the tokens: (tokens) -> unnormalised weights of all tokens."""

    def weights(tokens, size):
        rng = np.random.default_rng([seed, *tokens])
        return rng.uniform(0.1, 1.0, size)

    return weights


def policy_on(tree, weights):
    probabilities = np.empty(tree.num_edges)
    for prefix in range(tree.num_prefixes):
        edges = tree.edges(prefix)
        row = weights(tree.tokens(prefix), tree.mdp.tokenizer.vocab_size)[tree.action[edges]]
        probabilities[edges] = row / row.sum()
    return probabilities


def episodes(mdp, weights):
    """All episodes with their probabilities: (probability, [(prefix, token, reward, ends a turn)]), by recursion."""
    task, found = mdp.task, []

    def go(probability, state, tokens, turn_start, steps):
        partial = tokens[turn_start:]
        mask = np.zeros(mdp.tokenizer.vocab_size, bool)
        for text in task.continuations(state, mdp.tokenizer.decode(partial)):
            mask[mdp.tokenizer.encode(text)[0] if text else mdp.tokenizer.end_id] = True
        row = weights(tokens, mdp.tokenizer.vocab_size) * mask
        for token in np.flatnonzero(mask).tolist():
            p = probability * row[token] / row.sum()
            stop = token == mdp.tokenizer.end_id
            if not stop and len(partial) + 1 < mdp.max_response_tokens:
                go(p, state, [*tokens, token], turn_start, [*steps, (tuple(tokens), token, 0.0, False)])
                continue
            response = mdp.tokenizer.decode(partial if stop else [*partial, token])
            for chance, reply in task.outcomes(state, response):
                taken = [*steps, (tuple(tokens), token, reply.score.total, True)]
                if reply.done:
                    found.append((p * chance, taken))
                else:
                    end = [] if stop else [mdp.tokenizer.end_id]
                    after = [*tokens, token, *end, *mdp.tokenizer.encode(reply.text)]
                    go(p * chance, reply.state, after, len(after), taken)

    for index in range(task.num_problems):
        state, text = task.problem(index)
        tokens = mdp.tokenizer.encode(text)
        go(1 / task.num_problems, state, tokens, len(tokens), [])
    return found


def brute_force(mdp, weights, gamma, unit):
    """V by prefix and Q by prefix and token: means of the rewards to go over all episodes that pass."""
    sums, masses = defaultdict(float), defaultdict(float)
    for probability, steps in episodes(mdp, weights):
        to_go = 0.0
        for prefix, token, reward, ends in reversed(steps):
            to_go = reward + (gamma if unit == "tokens" or ends else 1.0) * to_go
            for key in (prefix, (prefix, token)):
                sums[key] += probability * to_go
                masses[key] += probability
    return {key: sums[key] / masses[key] for key in sums}, masses


@pytest.mark.parametrize("unit", ["tokens", "turns"])
@pytest.mark.parametrize("gamma", [1.0, 0.8])
@pytest.mark.parametrize("task", TASKS, ids=name)
def test_values_are_those_of_brute_force(task, gamma, unit):
    mdp, weights = TextMDP(task), random_table()
    tree = grow_tree(mdp)
    values = exact_values(tree, policy_on(tree, weights), gamma=gamma, discount_unit=unit)
    expected, masses = brute_force(mdp, weights, gamma, unit)
    assert len(expected) == tree.num_prefixes + tree.num_edges
    for prefix in range(tree.num_prefixes):
        tokens = tuple(tree.tokens(prefix))
        assert tree.find(tokens) == prefix
        assert values.v[prefix] == pytest.approx(expected[tokens], abs=1e-12)
        assert values.occupancy[prefix] == pytest.approx(masses[tokens], abs=1e-12)
        for edge in range(tree.num_edges)[tree.edges(prefix)]:
            key = tokens, int(tree.action[edge])
            assert values.q[edge] == pytest.approx(expected[key], abs=1e-12)
            assert values.a[edge] == pytest.approx(expected[key] - expected[tokens], abs=1e-12)


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_the_optimum_and_the_random_return_are_the_known_ones(task):
    values = exact_values(task, "uniform")
    if isinstance(task, TextGuess):
        assert values.optimal_return == pytest.approx(1.0)  # bisection
        return
    assert values.expected_return == pytest.approx(task.random_return, abs=1e-12)
    assert values.optimal_return == pytest.approx(task.optimal_return, abs=1e-12)


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_the_best_policy_has_the_optimal_values(task):
    values = exact_values(task, "uniform", gamma=0.9)
    tree = values.tree
    best = np.zeros(tree.num_edges)
    for prefix in range(tree.num_prefixes):
        best[tree.edges(prefix).start + int(values.optimal_q[tree.edges(prefix)].argmax())] = 1.0
    again = exact_values(tree, best, gamma=0.9)
    assert again.v == pytest.approx(values.optimal_v, abs=1e-12)
    assert (values.optimal_v >= values.v - 1e-12).all()


@pytest.mark.parametrize("unit", ["tokens", "turns"])
@pytest.mark.parametrize("task", TASKS, ids=name)
def test_the_gradient_is_that_of_finite_differences(task, unit):
    tree = grow_tree(TextMDP(task))
    logits = np.random.default_rng(1).normal(size=tree.num_edges)

    def policy(logits):
        weights = np.exp(logits)
        return weights / np.add.reduceat(weights, tree.first_edge[:-1])[tree.edge_prefix]

    def value(logits):
        return exact_values(tree, policy(logits), gamma=0.9, discount_unit=unit).expected_return

    gradient = exact_values(tree, policy(logits), gamma=0.9, discount_unit=unit).logit_gradient
    for edge in range(0, tree.num_edges, max(1, tree.num_edges // 12)):
        step = np.zeros(tree.num_edges)
        step[edge] = 1e-5
        assert gradient[edge] == pytest.approx((value(logits + step) - value(logits - step)) / 2e-5, abs=1e-8)


@pytest.mark.parametrize("id", ["TextUmbrella-v0", "TextKeyDoor-v0", "TextStopping-v0", "TextLengthBias-v0"])
@pytest.mark.parametrize("agent", [RandomAgent(3), NoisyExpertAgent(0.3, seed=3)], ids=["random", "noisy expert"])
def test_the_returns_of_rollouts_agree(id, agent):
    if id == "TextKeyDoor-v0":  # its expert sees the hidden word
        agent = RandomAgent(3)
    envs = make_envs(id, 4000)
    batch = rollout(agent, envs, seed=0)
    values = exact_values(envs, agent, gamma=0.9, discount_unit="turns")
    to_go = rewards_to_go(batch.rewards, batch.mask, 0.9, time_steps(batch.mask, batch.turns, "turns"))
    first = batch.mask.argmax(1)
    for prefix in range(int(values.tree.levels[1])):
        tokens = values.tree.tokens(prefix)
        rows = (batch.tokens[:, : len(tokens)] == tokens).all(1)
        returns = to_go[rows, first[rows]]
        error = returns.std() / np.sqrt(len(returns)) + 1e-9
        assert abs(returns.mean() - values.v[prefix]) < 5 * error


class EagerExpert(TextKeyDoor):
    """Its expert doesn't ask, since it sees the word."""

    def demonstrate(self, state, rng):
        return "apple" if state.turn == 0 else state.word


def test_the_expert_is_a_policy_where_prefixes_determine_it():
    assert exact_values(TextMemory(), ExpertAgent()).expected_return == 1.0
    with pytest.raises(ValueError, match=r"the expert answers \['x', 'y'\].*no function of the prefix"):
        exact_values(EagerExpert(length=0), ExpertAgent())
    with pytest.raises(TypeError, match="plans a mistake"):
        exact_values(TextMemory(), CarelessExpertAgent(0.5))


def test_tables_and_functions_are_policies():
    task = TextStopping(turns=2)
    mdp = mdp_of(task)
    go, stop = mdp.tokenizer.encode("go")[0], mdp.tokenizer.encode("stop")[0]
    row = np.zeros(mdp.tokenizer.vocab_size)
    row[[go, stop]] = 0.25, 0.75
    by_function = exact_values(task, lambda tokens: row)
    tree = by_function.tree
    by_table = exact_values(task, {tuple(tree.tokens(prefix)): row for prefix in range(tree.num_prefixes)})
    assert by_function.expected_return == by_table.expected_return == pytest.approx(0.5 * (0.25 + 0.25**2))
    table = by_function.table(by_function.policy)
    assert table[0, [go, stop]].tolist() == [0.25, 0.75]
    assert np.isnan(table[0, mdp.tokenizer.end_id])
    row[[go, mdp.tokenizer.end_id]] = 0.0, 0.25
    with pytest.raises(ValueError, match=r"gives 0.25 of its probability to tokens that are not legal"):
        exact_values(task, lambda tokens: row)


def test_without_the_grammar_every_usable_token_is_legal():
    values = exact_values(TextStopping(turns=1), "uniform", grammar=False)
    assert values.tree.num_edges == 4  # go, stop, the question, the end of the turn
    assert values.expected_return == pytest.approx(0.125)


def test_trees_that_do_not_fit_are_refused_with_their_number():
    with pytest.raises(
        TreeTooLargeError, match=r"at least 1,023 prefixes \(up to 9 tokens.*max_prefixes=1,000"
    ) as error:
        exact_values(TextDepth(depth=40), "uniform", max_prefixes=1000)
    assert error.value.least == 1023
    with pytest.raises(TreeTooLargeError, match=r"at least [0-9,]{30,} prefixes \(in the first turn"):
        exact_values(TextDepth(depth=60), "uniform", grammar=False)
    with pytest.raises(TreeTooLargeError, match=r"at least 4 prefixes \(one a problem\)"):
        exact_values(TextMemory(), "uniform", max_prefixes=3)
    with pytest.raises(ValueError, match=r"unlimited problems: name some with problems=\[...\]"):
        exact_values("TextMath-v0", "uniform")


def test_what_has_no_exact_values_is_refused():
    with pytest.raises(TypeError, match=r"override Task\.outcomes"):
        exact_values(Counting(), "uniform")
    with pytest.raises(ValueError, match='need reward="sparse"'):
        exact_values(TextMDP(TextGuess(), reward="dense"), "uniform")
    with pytest.raises(ValueError, match="context_length=6 truncates episodes"):
        exact_values(TextMDP(TextUmbrella(), context_length=6), "uniform")
    with pytest.raises(ValueError, match=r"gamma=1.5 must lie in \[0, 1\]"):
        exact_values(TextMemory(), "uniform", gamma=1.5)
