"""Value functions: initial weights, trunks, and the alignment of values with states."""

import pytest
import torch

from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.models.value_function import ValueFunction, values_at_end, values_before
from textmdp.envs import LexiconTokenizer

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model():
    return LanguageModel.tiny(LexiconTokenizer("abc"), 8, layers=1, width=16, heads=2)


def test_weights_follow_from_the_seed_and_the_global_generator_is_left_alone(model, monkeypatch):
    """Not even seeded and put back: torch.manual_seed reaches the generators of every device."""
    monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("the global generators were seeded"))
    before = torch.random.get_rng_state()
    weights = [ValueFunction(model, seed=seed).head[0].weight for seed in (3, 3, 4)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert 0.2 < weights[0].abs().max() <= 16**-0.5


@pytest.mark.parametrize("trunk", ["detached", "shared", "own"])
def test_values_are_zero_before_training(model, trunk):
    value = ValueFunction(model, trunk)
    tokens = torch.ones((2, 4), dtype=torch.int64)
    hidden = torch.randn((2, 4, 16), generator=torch.Generator().manual_seed(0)) if value.reads_policy else None
    assert value(tokens, hidden).tolist() == [[0.0] * 4] * 2


def test_values_are_those_of_the_states_before_tokens_and_after_episodes():
    after = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    mask = torch.tensor([[False, True, False, True], [False, True, True, False]])
    assert values_before(after, mask).tolist() == [[0, 1, 0, 3], [0, 5, 6, 0]]
    assert values_at_end(after, torch.tensor([4, 3]), torch.tensor([False, True])).tolist() == [0, 7]
