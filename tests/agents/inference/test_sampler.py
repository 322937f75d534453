"""Sampling from a cache agrees with training, for any network, ragged rows and many turns."""

import numpy as np
import pytest
import torch
from toys import Counting, Digits, Echo
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from textmdp.agents import kernels
from textmdp.agents.inference import sampler
from textmdp.agents.inference.compiled import CompiledLlamaForward
from textmdp.agents.inference.forward import TransformersForward, make_forward
from textmdp.agents.inference.llama import LlamaForward
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs, rollout
from textmdp.envs import Reply, Score, Task, TokenVectorEnv

pytestmark = pytest.mark.usefixtures("one_thread")
needs_compiler = pytest.mark.skipif(kernels.load("llama") is None, reason="no C compiler on this machine")


def llama(size, length, **options):
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=size, max_position_embeddings=length, **shape, **options))


def qwen2(size, length):
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    return Qwen2ForCausalLM(
        Qwen2Config(vocab_size=size, max_position_embeddings=length, num_key_value_heads=2, **shape)
    )


def gpt2(size, length):
    return GPT2LMHeadModel(GPT2Config(vocab_size=size, n_positions=length, n_embd=32, n_layer=2, n_head=4))


NETWORKS = {
    "llama": llama,
    "llama, grouped heads": lambda size, length: llama(size, length, num_key_value_heads=2),
    "llama, biases": lambda size, length: llama(size, length, attention_bias=True),
    "qwen2": qwen2,
    "gpt2": gpt2,
}


@pytest.fixture(params=["compiled", "not compiled"])
def both_ways(request, monkeypatch):
    """With the compiled kernel, where there is a compiler, and as on a machine that has none."""
    if request.param == "not compiled":
        monkeypatch.setattr(kernels, "load", lambda name: None)


def make_model(envs, network="llama", scale=8.0):
    """A fresh model whose distributions are far from uniform."""
    mdp = envs.mdp
    with torch.random.fork_rng(devices=[]):
        made = NETWORKS[network](mdp.tokenizer.vocab_size + 3, mdp.context_length)  # 3 ids that no token has
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in made.parameters():
            if weights.ndim == 2:
                weights.normal_(0.0, scale * 0.02, generator=generator)
    return LanguageModel(made, mdp.tokenizer)


def agents_alike(model):
    """Two agents that choose the same; greedy where the network is compiled, which draws other random numbers."""
    compiled = isinstance(make_forward(model.network, 8), CompiledLlamaForward)
    return tuple(LanguageModelAgent(model, seed=0, greedy=compiled) for _ in range(2))


def vector(task, rows=12):
    return TokenVectorEnv(task, rows, autoreset_mode="Disabled", copy=False)


def first_tokens(action):
    """The first token of each row and its log-probability, whether or not there are more."""
    return action.tokens.reshape(len(action.tokens), -1)[:, 0], action.log_probs.reshape(len(action.tokens), -1)[:, 0]


@pytest.fixture
def a_token_a_call(monkeypatch):
    """The compiled network, too, samples a token at a time."""
    monkeypatch.setattr(sampler, "TOKENS_PER_CALL", 1)


def recomputed(model, batch, temperature=1.0):
    with torch.no_grad():
        found = model.log_probs(torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles), temperature)
    return found.log_probs.numpy()


class Story(Echo):
    """Openings of 1 to 20 tokens."""

    max_text_bytes = 24

    def problem(self, index):
        return str(index), "x" * (1 + index % 20)


class Talk(Task[tuple[int, int]]):
    """Four turns, in which the environment writes 1 to 9 tokens: rows need long and short passes at a time."""

    num_problems = 50
    max_turns = 4
    max_response_tokens = 3
    max_text_bytes = 40

    def problem(self, index):
        return (index, 0), "a" * (1 + index % 3)

    def reply(self, state, response, rng):
        index, turn = state
        words = "b" * (1 + (index + turn + len(response)) % 9)
        return Reply((index, turn + 1), words, Score.of(replied=1.0), turn == 3)

    def demonstrate(self, state, rng):
        return "a"

    def vocabulary(self):
        return ("a", "b")


@pytest.mark.parametrize("task", [Echo(), Story(), Counting(), Talk()], ids=lambda task: type(task).__name__)
@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("network", NETWORKS)
def test_sampled_and_recomputed_log_probs_agree(network, task):
    envs = vector(task)
    model = make_model(envs, network)
    agent = LanguageModelAgent(model, temperature=0.8, seed=1)
    for seed in (0, 1):  # the second batch meets a cache that was used
        batch = rollout(agent, envs, seed=seed)
        assert batch.log_probs is not None
        assert batch.log_probs[batch.mask].std() > 0.1
        np.testing.assert_allclose(batch.log_probs, recomputed(model, batch, 0.8), atol=1e-4)


@pytest.mark.parametrize("env_id", ["TextMath-v0", "TextGuess-v0"])
def test_they_agree_on_what_is_registered(env_id):
    envs = make_envs(env_id, 48)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, seed=3)
    batch = rollout(LanguageModelAgent(model), envs, seed=0)
    assert len(set(batch.lengths.tolist())) > 1
    np.testing.assert_allclose(batch.log_probs, recomputed(model, batch), atol=1e-4)


@pytest.mark.usefixtures("both_ways", "a_token_a_call")
def test_the_lean_forward_is_that_of_transformers():
    envs = vector(Talk())
    for network in ("llama", "llama, grouped heads"):
        model = make_model(envs, network)
        assert isinstance(make_forward(model.network, 8), LlamaForward)
        assert isinstance(make_forward(make_model(envs, "llama, biases").network, 8), TransformersForward)
        lean, modular = agents_alike(model)
        envs.reset(seed=0)
        rows, ended = np.arange(envs.num_envs), np.zeros(envs.num_envs, bool)
        lean.begin(envs, rows)
        modular.begin(envs, rows)
        modular._forward = TransformersForward(model.network)
        while len(rows):
            one, other = first_tokens(lean.act(envs, rows)), first_tokens(modular.act(envs, rows))
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_allclose(one[1], other[1], atol=1e-5)
            _, _, terminated, truncated, _ = envs.step_rows(rows, one[0])
            ended = terminated | truncated
            rows = rows[~ended[rows]]
        assert ended.all()


@pytest.mark.parametrize("network", ["llama", "llama, grouped heads"])
def test_embedding_bags_are_matrix_products(network, monkeypatch):
    monkeypatch.setattr(kernels, "load", lambda name: None)
    envs = vector(Talk())
    model = make_model(envs, network)
    bags, products = LanguageModelAgent(model), LanguageModelAgent(model)
    envs.reset(seed=0)
    for agent in (bags, products):
        agent.begin(envs, np.arange(envs.num_envs))
    assert bags._forward.uses_bags
    products._forward.uses_bags = False
    for _ in range(3):
        rows = np.flatnonzero(~envs.over)
        chosen, same = bags.act(envs, rows), products.act(envs, rows)
        np.testing.assert_array_equal(chosen.tokens, same.tokens)
        np.testing.assert_allclose(chosen.log_probs, same.log_probs, atol=1e-5)
        envs.step_rows(rows, chosen.tokens)


def test_groups_are_prefilled_once_and_see_what_single_rows_see():
    envs = vector(Story(), 12)
    model = make_model(envs)
    problems = [7, 7, 7, 2, 2, 2, 2, 9, 7, 22, 11, 2]  # 2 and 22 open alike
    fed = []

    class Counted(LlamaForward):
        def read(self, view, tokens):
            fed.append(len(tokens))
            super().read(view, tokens)

    agent = LanguageModelAgent(model, seed=0)
    envs.reset(seed=0, options={"problem": problems})
    agent.begin(envs, np.arange(12))
    agent._forward = Counted(model.network, envs.mdp.context_length)
    agent.act(envs, np.arange(12))
    assert fed == [4]  # of 7, 2, 9, 11
    batch = rollout(agent, envs, seed=0, problems=problems)
    np.testing.assert_allclose(batch.log_probs, recomputed(model, batch), atol=1e-4)


def test_greedy_takes_the_most_likely_token():
    envs = vector(Counting())
    model = make_model(envs)
    batch = rollout(LanguageModelAgent(model, greedy=True), envs, seed=0)
    for row, t in zip(*np.nonzero(batch.mask), strict=True):
        past = torch.from_numpy(batch.tokens[row, :t])[None]
        with torch.no_grad():
            best = model.distribution(model.network(input_ids=past).logits[0, -1]).argmax()
        assert batch.tokens[row, t] == best


def test_samples_follow_the_distribution():
    envs = vector(Story(), 4000)
    model = make_model(envs, scale=3.0)
    envs.reset(seed=0, options={"problem": 0})
    agent = LanguageModelAgent(model, temperature=1.3, seed=0)
    agent.begin(envs, np.arange(4000))
    drawn = np.bincount(first_tokens(agent.act(envs, np.arange(4000)))[0], minlength=len(model.forbidden_tokens)) / 4000
    with torch.no_grad():
        logits = model.network(input_ids=torch.from_numpy(envs.tokens[:1, :1])).logits[0, -1]
        expected = model.distribution(logits, 1.3).exp().numpy()
    np.testing.assert_allclose(drawn, expected, atol=4 * np.sqrt(0.25 / 4000))
    assert not drawn[model.forbidden_tokens.numpy()].any()


def test_a_seed_decides_and_nothing_global_is_touched():
    envs = vector(Counting())
    model = make_model(envs)
    before = torch.random.get_rng_state()
    one, same, other = (rollout(LanguageModelAgent(model, seed=s), envs, seed=0) for s in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(one.tokens, same.tokens)
    np.testing.assert_array_equal(one.log_probs, same.log_probs)
    assert one.tokens.shape != other.tokens.shape or (one.tokens != other.tokens).any()


def test_new_weights_are_used_from_the_next_episodes_on():
    envs = vector(Echo())
    model = make_model(envs)
    agent = LanguageModelAgent(model)
    rollout(agent, envs, seed=0)
    with torch.no_grad():
        for weights in model.network.parameters():
            weights.mul_(0.5)
    batch = rollout(agent, envs, seed=0)
    np.testing.assert_allclose(batch.log_probs, recomputed(model, batch), atol=1e-4)


def test_rows_may_rest_begin_anew_and_go_on_from_elsewhere():
    """Log-probabilities are those of the tokens in the rows, for any rows in any order."""
    envs = vector(Talk(), 6)
    model = make_model(envs)
    agent = LanguageModelAgent(model, seed=0)
    envs.reset(seed=0)
    agent.begin(envs, np.arange(6))

    def check(rows):
        rows = np.array(rows)
        (actions, log_probs), at = first_tokens(agent.act(envs, rows)), envs.lengths[rows]
        envs.step_rows(rows, actions)
        for row, t, log_prob in zip(rows, at, log_probs, strict=True):
            with torch.no_grad():
                logits = model.network(input_ids=torch.from_numpy(envs.tokens[row, :t])[None]).logits[0, -1]
            assert log_prob == pytest.approx(float(model.distribution(logits)[envs.tokens[row, t]]), abs=1e-4)

    check([0, 1, 2, 3, 4, 5])
    check([5, 1, 3])
    check([0, 1, 2, 3, 4, 5])
    envs.branch([0, 0], [4, 2])
    agent.begin(envs, np.array([4, 2]))
    check([2, 4, 0])
    envs.reset(options={"reset_mask": np.arange(6) == 0})
    agent.begin(envs, np.array([0]))
    check([0, 1, 2, 3, 4, 5])


@pytest.mark.usefixtures("both_ways")
def test_others_may_say_something_else():
    """Sampled tokens are forgotten if a row goes on with other tokens, or stands still."""
    envs = TokenVectorEnv(Echo(), 40, autoreset_mode="Disabled", copy=False, max_response_tokens=20)
    model = make_model(envs, scale=3.0)
    model.forbidden_tokens[envs.mdp.tokenizer.end_id] = True
    words = np.flatnonzero(~model.forbidden_tokens.numpy())
    agent, rows, rng = LanguageModelAgent(model, seed=0), np.arange(40), np.random.default_rng(0)
    envs.reset(seed=0, options={"problem": 0})
    agent.begin(envs, rows)
    assert (agent.act(envs, rows).tokens != agent.act(envs, rows).tokens).any()
    for step in range(14):
        actions, log_probs = first_tokens(agent.act(envs, rows))
        past = torch.from_numpy(envs.tokens[:, : envs.lengths[0]].copy())
        with torch.no_grad():
            logits = model.network(input_ids=past).logits[:, -1]
        expected = model.distribution(logits).gather(1, torch.from_numpy(actions)[:, None])[:, 0]
        np.testing.assert_allclose(log_probs, expected, atol=1e-4)
        envs.step_rows(rows, np.where(rng.random(40) < 0.3, rng.choice(words, 40), actions))
        if step % 3 == 2:  # a token that the agent is not asked about
            envs.step_rows(rows, rng.choice(words, 40))


@pytest.mark.usefixtures("both_ways")
def test_episodes_may_open_much_shorter_than_those_before():
    class Shrinking(Story):
        max_text_bytes = 200

        def problem(self, index):
            return str(index), "x" * (150 if index % 2 else 1)

    envs = vector(Shrinking(), 4)
    model = make_model(envs)
    agent = LanguageModelAgent(model, seed=0)
    for problem in (1, 0, 1, 0):
        batch = rollout(agent, envs, problems=[problem] * 4)
        np.testing.assert_allclose(batch.log_probs, recomputed(model, batch), atol=1e-4)


def test_impossible_settings_are_refused():
    envs = vector(Counting())
    short = LanguageModel.tiny(envs.mdp.tokenizer, 8, width=32, heads=2)
    with pytest.raises(ValueError, match="beyond the 8 positions"):
        rollout(LanguageModelAgent(short), envs, seed=0)
    with pytest.raises(ValueError, match="greedy=True"):
        LanguageModelAgent(short, temperature=0.0)

    class Mute(Echo):
        def problem(self, index):
            return "1", ""

    envs = vector(Mute())
    with pytest.raises(ValueError, match="opens with no token"):
        rollout(LanguageModelAgent(make_model(envs)), envs, seed=0)


def test_a_grammar_is_kept_and_recorded():
    envs = vector(Digits())
    model = make_model(envs)
    batch = rollout(LanguageModelAgent(model, temperature=0.7, grammar=True, seed=1), envs, seed=0)
    assert batch.allowed.shape == (*batch.tokens.shape, envs.single_action_space.n)
    assert batch.allowed[~batch.mask].all()
    assert not batch.allowed[batch.mask].all(1).any()
    rows, at = np.nonzero(batch.mask)
    assert batch.allowed[rows, at, batch.tokens[rows, at]].all()
    assert all(response.isdigit() for episode in batch.episodes for response in episode.messages[1::2])
    with torch.no_grad():
        tokens, roles, allowed = map(torch.from_numpy, (batch.tokens, batch.roles, batch.allowed))
        found = model.log_probs(tokens, roles, 0.7, allowed).log_probs.numpy()
    np.testing.assert_allclose(batch.log_probs, found, atol=1e-4)
    assert np.abs(found - recomputed(model, batch, 0.7)).max() > 0.1


def test_without_a_grammar_nothing_is_recorded():
    envs = vector(Counting())
    model = make_model(envs)
    assert rollout(LanguageModelAgent(model, grammar=True), envs, seed=0).allowed is None
    assert rollout(LanguageModelAgent(model), vector(Digits()), seed=0).allowed is None
    envs = vector(Digits())
    agent = LanguageModelAgent(make_model(envs), grammar=True)
    assert rollout(agent, envs, seed=0).allowed is not None
    agent.grammar = False
    assert rollout(agent, envs, seed=0).allowed is None


@pytest.mark.parametrize("task", [Echo(), Counting()], ids=lambda task: type(task).__name__)
@pytest.mark.usefixtures("both_ways", "a_token_a_call")
@pytest.mark.parametrize("network", ["llama, grouped heads", "qwen2"])
def test_branches_go_on_from_what_their_sources_have_read(network, task):
    """Token for token what an agent does that reads all of it again, in one turn that lasts and in many."""
    envs = vector(task, 6)
    model = make_model(envs, network)
    lasts = isinstance(task, Echo)
    model.forbidden_tokens[envs.mdp.tokenizer.end_id] = lasts
    going, reading = agents_alike(model)
    envs.reset(seed=0)
    going.begin(envs, np.arange(6))
    read, forward = [], going._forward.read

    def counted(view, tokens):
        read.append(tokens.numel())
        forward(view, tokens)

    going._forward.read = counted

    def step(*rows):
        rows = np.array(rows)
        read.clear()
        reading.begin(envs, np.arange(6))
        chosen, again = first_tokens(going.act(envs, rows)), first_tokens(reading.act(envs, rows))
        np.testing.assert_array_equal(chosen[0], again[0])
        np.testing.assert_allclose(chosen[1], again[1], atol=1e-5)
        envs.step_rows(rows, chosen[0])
        return sum(read) if lasts else None  # how much beyond a token of each row

    def branch(sources, targets):
        envs.branch(sources, targets, [7] * len(sources))
        going.branch(np.array(sources), np.array(targets))

    branch([0, 1], [1, 0])  # nothing has been read: nothing to give
    step(0, 1, 2, 3)
    branch([0, 1, 0, 3], [1, 0, 4, 5])  # two change places, and two had no slot
    assert not step(0, 1, 2, 3, 4, 5)
    step(2, 3)
    branch([2, 2, 3], [5, 0, 2])  # 5 and 0 have lost their slots, and 2 gives its own away
    assert not step(5, 0, 2, 3)
    branch([4, 3], [3, 1])  # 4 has lost its slot: 3 is read anew
    assert not step(0, 1)
    assert step(3) != 0
    branch([3] * 5, [0, 1, 2, 4, 5])
    rows = np.flatnonzero(~envs.over)
    while len(rows):  # until all turns are over
        step(*rows)
        rows = rows[~envs.over[rows]]


@needs_compiler
@pytest.mark.parametrize("task", [Echo(), Story(), Counting(), Talk()], ids=lambda task: type(task).__name__)
@pytest.mark.parametrize("most", [1, 2, 64])
def test_tokens_do_not_depend_on_how_many_are_sampled_in_a_call(task, most, monkeypatch):
    envs = vector(task, 40)
    model = make_model(envs)
    expected = rollout(LanguageModelAgent(model, greedy=True), envs, seed=0)
    monkeypatch.setattr(sampler, "TOKENS_PER_CALL", most)
    found = rollout(LanguageModelAgent(model, greedy=True), envs, seed=0)
    for name in ("tokens", "roles", "rewards", "turns", "log_probs", "terminated", "truncated"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.finish_reasons == expected.finish_reasons


@needs_compiler
@pytest.mark.parametrize("options", [{"reward": "dense"}, {"max_episode_steps": 3}], ids=["dense", "limit"])
def test_dense_rewards_and_limits_of_steps_take_a_token_at_a_time(options):
    envs = TokenVectorEnv(Counting(), 64, autoreset_mode="Disabled", copy=False, **options)
    model = make_model(envs, scale=3.0)
    batch = rollout(LanguageModelAgent(model, seed=0), envs, seed=0)
    np.testing.assert_allclose(batch.log_probs, recomputed(model, batch), atol=1e-4)
    if "max_episode_steps" in options:
        assert (batch.lengths == 3).any()
        assert batch.lengths.max() == 3
        assert "" in batch.finish_reasons
        return
    inside = batch.mask & (np.pad(batch.turns, ((0, 0), (0, 1)), constant_values=-1)[:, 1:] == batch.turns)
    assert batch.rewards[inside].any()  # a right number on the way earns its shaping reward at once


def test_the_likeliest_tokens_share_the_probability():
    log_probs = torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.01, 0.01, 0.97, 0.01]]).log()
    for top_p, top_k, expected in [
        (0.6, 0, [[0, 2 / 3, 0, 1 / 3], [0, 0, 1, 0]]),
        (0.5, 0, [[0, 1, 0, 0], [0, 0, 1, 0]]),
        (1.0, 1, [[0, 1, 0, 0], [0, 0, 1, 0]]),
        (0.8, 3, [[0, 0.5 / 0.9, 0.15 / 0.9, 0.25 / 0.9], [0, 0, 1, 0]]),
        (1e-9, 0, [[0, 1, 0, 0], [0, 0, 1, 0]]),
    ]:
        kept = sampler.keep_likeliest(log_probs, top_p, top_k).exp()
        torch.testing.assert_close(kept, torch.tensor(expected, dtype=torch.float32))
    assert torch.equal(sampler.keep_likeliest(log_probs, 1.0, 0).argmax(-1), log_probs.argmax(-1))


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-6}], ids=str)
def test_the_one_likeliest_token_is_the_greedy_one(options):
    envs = TokenVectorEnv(Echo(), 8, autoreset_mode="Disabled", copy=False)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, width=16, heads=2, layers=1)
    greedy = rollout(LanguageModelAgent(model, greedy=True), envs, seed=0)
    sampled = rollout(LanguageModelAgent(model, **options), envs, seed=0)
    np.testing.assert_array_equal(sampled.tokens, greedy.tokens)
    np.testing.assert_allclose(sampled.log_probs, 0.0, atol=1e-6)


def test_restrictions_of_sampling_are_checked():
    envs = TokenVectorEnv(Echo(), 2)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, width=16, heads=2, layers=1)
    for options in ({"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}):
        with pytest.raises(ValueError, match=rf"{next(iter(options))}=.* must"):
            LanguageModelAgent(model, **options)
