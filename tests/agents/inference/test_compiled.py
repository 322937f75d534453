"""The compiled Llama: equal to the network, and independent of the rows beside and of the number of threads."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM

from textmdp.agents import kernels
from textmdp.agents.inference import compiled
from textmdp.agents.inference.compiled import CompiledLlamaForward
from textmdp.agents.inference.forward import make_forward
from textmdp.agents.inference.kv_cache import Cache, CacheView
from textmdp.agents.inference.llama import LlamaForward
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import rollout
from textmdp.envs import TokenVectorEnv
from textmdp.envs.tasks.text_math import TextMath

LENGTH = 40
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on this machine")


def a_llama(
    hidden: int = 48, heads: int = 4, num_kv_heads: int = 4, head_dim: int = 12, inner: int = 64, words: int = 37
):
    config = LlamaConfig(
        vocab_size=words,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=2,
        num_attention_heads=heads,
        num_key_value_heads=num_kv_heads,
        head_dim=head_dim,
        max_position_embeddings=LENGTH,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LlamaForCausalLM(config).eval()
        for weights in network.parameters():  # norms' scales of one would hide a scale that is forgotten
            torch.nn.init.normal_(weights, 1.0 if weights.ndim == 1 else 0.0, 0.3)
    return network


@torch.inference_mode()
def logits_of(forward, tokens: NDArray[np.int64], starts: NDArray[np.int64]) -> torch.Tensor:
    """Logits after each token from the cache, (m, K, V); row r begins `starts[r]` steps late."""
    m, steps = tokens.shape
    cache = Cache(m, LENGTH, torch.device("cpu"))
    logits = []
    for step in range(steps):
        positions = np.maximum(step - starts, 0)[:, None]
        view = CacheView(cache, slice(m), positions)
        now = torch.from_numpy(np.take_along_axis(tokens, positions, 1))
        logits.append(forward.predict(view, now).clone())
    return torch.stack(logits, 1)


SHAPES = {
    "plain": {},
    "grouped heads": {"num_kv_heads": 2},
    "one key-value head": {"num_kv_heads": 1},
    "odd sizes": {"hidden": 51, "heads": 3, "num_kv_heads": 3, "head_dim": 14, "inner": 37, "words": 19},
    "wide heads": {"head_dim": 34},
    "less than a panel": {"hidden": 6, "heads": 1, "num_kv_heads": 1, "head_dim": 2, "inner": 3, "words": 4},
}


@needs_compiler
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_gives_what_the_network_gives(shape):
    network = a_llama(**shape)
    tokens = np.random.default_rng(0).integers(0, network.config.vocab_size, (53, 20))  # more rows than a block
    found = logits_of(CompiledLlamaForward(network, LENGTH), tokens, np.zeros(53, int))
    with torch.inference_mode():
        expected = network(torch.from_numpy(tokens)).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@needs_compiler
def test_rows_may_be_at_different_positions():
    network = a_llama()
    rng = np.random.default_rng(1)
    tokens, starts = rng.integers(0, 37, (9, 25)), rng.integers(0, 12, 9)
    plain, in_c = LlamaForward(network, LENGTH), CompiledLlamaForward(network, LENGTH)
    torch.testing.assert_close(logits_of(in_c, tokens, starts), logits_of(plain, tokens, starts), rtol=1e-4, atol=1e-4)


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_row_does_not_depend_on_the_rows_beside_it(threads):
    forward = CompiledLlamaForward(a_llama(), LENGTH)
    tokens = np.random.default_rng(2).integers(0, 37, (101, 12))
    every = logits_of(forward, tokens, np.zeros(101, int))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for rows in (slice(0, 1), slice(3, 8), slice(40, 101), slice(0, 101)):
            found = logits_of(forward, tokens[rows], np.zeros(len(tokens[rows]), int))
            assert torch.equal(found, every[rows])
    finally:
        torch.set_num_threads(before)


@needs_compiler
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_goes_on_from_what_was_read_at_once(shape):
    network = a_llama(**shape)
    tokens = np.random.default_rng(3).integers(0, network.config.vocab_size, (5, 11))
    expected = logits_of(CompiledLlamaForward(network, LENGTH), tokens, np.zeros(5, int))[:, -1]
    forward, cache = CompiledLlamaForward(network, LENGTH), Cache(5, LENGTH, torch.device("cpu"))
    with torch.inference_mode():
        block = np.tile(np.arange(10), (5, 1))
        forward.read(CacheView(cache, np.arange(5), block), torch.from_numpy(tokens[:, :10].copy()))
        found = forward.predict(
            CacheView(cache, slice(5), np.full((5, 1), 10)), torch.from_numpy(tokens[:, 10:].copy())
        )
    assert torch.equal(found, expected)


@torch.inference_mode()
def generated(forward, prompts, budgets, uniform, temperature=0.8, rows=slice(None)):
    """Tokens that some rows sample after their prompts, (m, K), their numbers, (m,), and log-probabilities, (m, K)."""
    (count, length), forbidden = prompts.shape, torch.zeros(forward.head.shape[1], dtype=torch.bool)
    forbidden[3] = True
    cache = Cache(count, LENGTH, torch.device("cpu"))
    rows = np.arange(count)[rows]
    forward.read(
        CacheView(cache, rows, np.tile(np.arange(length - 1), (len(rows), 1))), prompts[rows, :-1].contiguous()
    )
    view = CacheView(cache, rows, np.full((len(rows), 1), length - 1))
    numbers = None if uniform is None else uniform[rows].contiguous()
    return forward.generate(view, prompts[rows, -1:].contiguous(), budgets[rows], forbidden, 2, temperature, numbers)


@needs_compiler
@pytest.mark.parametrize("greedy", [False, True])
def test_samples_from_the_distribution_of_the_network(greedy):
    network, rng = a_llama(), np.random.default_rng(5)
    prompts = torch.from_numpy(rng.integers(0, 37, (107, 9)))
    uniform = torch.from_numpy(rng.random((107, 30), np.float32))
    budgets = rng.integers(1, 31, 107)
    budgets[0] = 30
    tokens, drawn, log_probs = generated(
        CompiledLlamaForward(network, LENGTH), prompts, budgets, None if greedy else uniform
    )
    ended = tokens[np.arange(107), drawn - 1] == 2
    np.testing.assert_array_equal(drawn[~ended], budgets[~ended])
    assert greedy or 10 < ended.sum() < 97
    for row, count in enumerate(drawn):
        sampled = torch.from_numpy(tokens[row, :count])
        assert not (sampled[:-1] == 2).any()
        with torch.no_grad():
            logits = network(torch.cat([prompts[row], sampled])[None]).logits[0, 8:-1] / 0.8
        logits[:, 3] = -torch.inf
        expected = logits.log_softmax(-1)  # (count, V)
        np.testing.assert_allclose(log_probs[row, :count], expected[torch.arange(count), sampled], atol=1e-4)
        if greedy:
            assert (expected.max(-1).values - expected[torch.arange(count), sampled]).max() < 1e-5
        else:  # the number lies in the token's part of [0, 1], but for rounding
            stops = expected.exp().cumsum(-1)[torch.arange(count), sampled]
            starts = stops - expected.exp()[torch.arange(count), sampled]
            assert (uniform[row, :count] < stops + 1e-5).all()
            assert (uniform[row, :count] > starts - 1e-5).all()


@needs_compiler
@pytest.mark.parametrize("threads", [1, 3])
def test_what_a_row_samples_does_not_depend_on_the_rows_beside_it(threads):
    forward, rng = CompiledLlamaForward(a_llama(), LENGTH), np.random.default_rng(6)
    prompts, uniform = (
        torch.from_numpy(rng.integers(0, 37, (150, 7))),
        torch.from_numpy(rng.random((150, 25), np.float32)),
    )
    budgets = np.full(150, 25)
    every = generated(forward, prompts, budgets, uniform)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for rows in (slice(0, 1), slice(30, 37), slice(40, 150), slice(None)):
            tokens, drawn, log_probs = generated(forward, prompts, budgets, uniform, rows=rows)
            np.testing.assert_array_equal(drawn, every[1][rows])
            for row, count in enumerate(drawn):
                np.testing.assert_array_equal(tokens[row, :count], every[0][rows][row, :count])
                np.testing.assert_array_equal(log_probs[row, :count], every[2][rows][row, :count])
    finally:
        torch.set_num_threads(before)


@needs_compiler
def test_logits_that_are_no_numbers_end_nothing():
    """A network that diverged still samples allowed tokens; the doctor finds its log-probabilities."""
    network = a_llama()
    with torch.no_grad():
        network.model.norm.weight.fill_(torch.nan)
    prompts = torch.zeros(3, 4, dtype=torch.int64)
    tokens, drawn, log_probs = generated(
        CompiledLlamaForward(network, LENGTH), prompts, np.full(3, 5), torch.rand(3, 5)
    )
    assert ((tokens >= 0) & (tokens < 37) & (tokens != 3)).all()
    assert np.isnan(log_probs).all()
    assert (drawn == 5).all()


@needs_compiler
def test_extreme_logits_stay_finite():
    network = a_llama()
    with torch.no_grad():
        for layer in network.model.layers:
            layer.self_attn.q_proj.weight.mul_(1e3)  # scores of thousands: all attention on one position
            layer.mlp.gate_proj.weight.mul_(1e3)  # gates far beyond what e^x can hold
    tokens = np.random.default_rng(4).integers(0, 37, (7, 15))
    found = logits_of(CompiledLlamaForward(network, LENGTH), tokens, np.zeros(7, int))
    with torch.inference_mode():
        expected = network(torch.from_numpy(tokens)).logits
    assert torch.isfinite(found).all()
    assert (found - expected).abs().max() < 2e-3 * expected.abs().max()


@needs_compiler
def test_is_what_rollouts_use():
    envs = TokenVectorEnv(TextMath(), 12, autoreset_mode="Disabled", copy=False)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length)
    assert type(make_forward(model.network, envs.mdp.context_length)) is CompiledLlamaForward
    batch = rollout(LanguageModelAgent(model), envs, seed=0)
    with torch.no_grad():
        found = model.log_probs(torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)).log_probs.numpy()
    assert np.abs(found - batch.log_probs)[batch.roles == 2].max() < model.tolerance


@needs_compiler
def test_structures_are_as_large_as_the_kernel_s(monkeypatch):
    compiled.check_sizes(kernels.load("llama"))

    class Longer(compiled._GenerateArguments):
        _fields_ = (("more", ctypes.c_int64),)

    monkeypatch.setattr(compiled, "_GenerateArguments", Longer)
    with pytest.raises(RuntimeError, match="declare the same fields in both"):
        CompiledLlamaForward(a_llama(), LENGTH)


@needs_compiler
def test_the_switch_turns_the_kernel_off(monkeypatch):
    monkeypatch.setenv("TEXTMDP_KERNEL", "0")
    assert type(make_forward(a_llama(), LENGTH)) is LlamaForward
    monkeypatch.setenv("TEXTMDP_KERNEL", "1")
    assert type(make_forward(a_llama(), LENGTH)) is CompiledLlamaForward


@needs_compiler
@pytest.mark.slow
def test_sanitizers_find_nothing(tmp_path):
    """This file once more, with the kernel compiled for AddressSanitizer and UndefinedBehaviorSanitizer."""
    compiler = shutil.which("cc")
    flags = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g"
    probe = tmp_path / "probe.c"
    probe.write_text("int f(void) { return 0; }\n")
    built = subprocess.run([compiler, *flags.split(), "-shared", "-fPIC", "-o", tmp_path / "probe.so", probe])
    runtime = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if built.returncode or not Path(runtime).is_absolute():
        pytest.skip("this compiler has no sanitizers")
    environment = {
        **os.environ,
        "CC": f"{compiler} {flags}",
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own
        "XDG_CACHE_HOME": str(tmp_path),
        "OMP_NUM_THREADS": "2",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "skipped" not in done.stdout
    assert list(tmp_path.glob("textmdp/kernels/llama-*.so"))
