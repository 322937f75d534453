"""Batches of rollouts pass; batches broken on purpose are found, with row and position."""

import numpy as np
import pytest
from toys import Counting, Echo

from textmdp.agents.rollouts.batch_checks import first_batch
from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.scripted import ExpertAgent, RandomAgent
from textmdp.envs import ByteTokenizer, TokenVectorEnv


def collect(task=None, agent=None, rows=6, **options):
    envs = TokenVectorEnv(task or Counting(), rows, autoreset_mode="Disabled", copy=False, **options)
    return rollout(agent or ExpertAgent(), envs, seed=0), envs.mdp.tokenizer


def with_log_probs(batch):
    batch.log_probs = np.where(batch.mask, np.float32(-0.5), np.float32(0.0))
    return batch


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"task": Echo(), "reward": "dense"},
        {"agent": RandomAgent(0), "rows": 64},  # most responses run into their budget, and are closed
        {"agent": RandomAgent(0), "rows": 64, "context_length": 12},
        {"max_episode_steps": 3},
        {"max_response_tokens": 1},
        {"tokenizer": ByteTokenizer()},
    ],
)
def test_batches_of_rollouts_pass(options):
    batch, tokenizer = collect(**options)
    assert first_batch(batch, tokenizer) == []
    assert first_batch(with_log_probs(batch), tokenizer) == []


def place(batch, row, number):
    """The place of the policy's token of this number."""
    return row, int(np.flatnonzero(batch.mask[row])[number])


def no_prompt(batch, at):
    for array in (batch.tokens, batch.roles, batch.rewards, batch.turns, batch.log_probs):
        array[1] = np.roll(array[1], -int(batch.mask[1].argmax()))
    return 1, 0


def environment_in_the_mask(batch, at):
    batch.roles[1, 0] = 2
    batch.log_probs[1, 0] = -1
    return 1, 0


def policy_not_in_the_mask(batch, at):
    batch.roles[at] = 1
    batch.log_probs[at] = batch.rewards[at] = 0
    return at


def turns_fall(batch, at):
    batch.turns[at] = 5
    return at[0], at[1] + 1  # the first one that is below


def no_end(batch, at):
    row, position = place(batch, 2, -1)
    batch.tokens[row, position] = batch.tokens[row, position - 1]
    return row, position


def no_end_in_the_middle(batch, at):
    row, position = place(batch, 2, 1)
    batch.tokens[row, position] = batch.tokens[row, position - 1]
    return row, position


def reward_on_the_environment(batch, at):
    batch.rewards[2, 0] = 1
    return 2, 0


def reward_is_no_number(batch, at):
    batch.rewards[at] = np.nan
    return at


def log_prob_above_0(batch, at):
    batch.log_probs[at] = 0.1
    return at


def log_prob_is_no_number(batch, at):
    batch.log_probs[at] = -np.inf
    return at


def log_prob_on_the_environment(batch, at):
    batch.log_probs[3, 0] = -0.1
    return 3, 0


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("prompt", no_prompt, "no token of the environment comes before"),
        ("mask", environment_in_the_mask, "is in the mask"),
        ("mask", policy_not_in_the_mask, "the mask leaves it out"),
        ("turns", turns_fall, "the turn is 0, and was greater before"),
        ("end-of-turn", no_end, "a finished response ends in '3'"),
        ("end-of-turn", no_end_in_the_middle, "a finished response ends in "),
        ("rewards", reward_on_the_environment, "the reward 1 is on "),
        ("rewards", reward_is_no_number, "the reward nan is on "),
        ("log-probs", log_prob_above_0, "is 0.1"),
        ("log-probs", log_prob_is_no_number, "is -inf"),
        ("log-probs", log_prob_on_the_environment, "the policy didn't write it"),
    ],
)
def test_faults_are_found_with_their_place(name, spoil, words):
    batch, tokenizer = collect()
    with_log_probs(batch)
    row, position = spoil(batch, place(batch, 1, 0))
    finding = next(finding for finding in first_batch(batch, tokenizer) if finding.name == name)
    assert finding.severity == "error"
    assert finding.message.startswith(f"row {row}, position {position}: ")
    assert words in finding.message
    assert finding.remedy


def test_the_dropped_end_token_is_found():
    """The bug of several libraries: the token that ends a response is generated, and not trained on."""
    batch, tokenizer = collect(Echo())
    with_log_probs(batch)
    ends = batch.tokens == tokenizer.end_id
    batch.roles[ends] = 1
    batch.turns[ends] = -1
    batch.log_probs[ends] = batch.rewards[ends] = 0
    (finding,) = first_batch(batch, tokenizer)
    assert finding.name == "end-of-turn"
    assert "(and 5 more)" in finding.message
