"""Any causal language model of transformers as a policy: from a folder to a policy, trained, saved, and back."""

import copy
import importlib.util
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from toys import Counting, Echo
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertLMHeadModel,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from textmdp.agents import loading
from textmdp.agents.adapters import AdaptedModel, add_lora
from textmdp.agents.config import Config
from textmdp.agents.decoding import LanguageModelAgent
from textmdp.agents.language_model import LanguageModel
from textmdp.agents.policy_gradient import Trainer
from textmdp.agents.precision import compute_in_bfloat16, precision
from textmdp.agents.rollout import rollout
from textmdp.envs import ByteTokenizer, LexiconTokenizer, Reply, Score, TokenVectorEnv

# transformers reads and writes files through libraries that warn of things to come.
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning"),
]


class Chatty(Echo):
    """A letter more, a point more: there is something to learn from the first update on."""

    def reply(self, state, response, rng):
        return Reply(state, "", Score.of(letters=float(len(response))), True)


SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
LENGTH = 128


def llama(size, **options):
    return LlamaForCausalLM(LlamaConfig(vocab_size=size, max_position_embeddings=LENGTH, **SHAPE, **options))


def qwen2(size, **options):
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=size, max_position_embeddings=LENGTH, **SHAPE, **options))


def gpt2(size):
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=size, n_positions=LENGTH, n_embd=32, n_layer=2, n_head=4, bos_token_id=None, eos_token_id=1
        )
    )


NETWORKS = {
    "llama": llama,
    "llama, grouped heads": lambda size: llama(size, num_key_value_heads=2),
    "qwen2, biases and tied": lambda size: qwen2(size, num_key_value_heads=4, tie_word_embeddings=True),
    "qwen2, grouped heads": lambda size: qwen2(size, num_key_value_heads=1, tie_word_embeddings=False),
    "gpt2, positions learned and tied": gpt2,
}
TIED = [name for name in NETWORKS if "tied" in name]
PADDING = 14  # embeddings that no token has: folders from the hub round their number up


def vector(task, rows=12, **options):
    return TokenVectorEnv(task, rows, autoreset_mode="Disabled", copy=False, **options)


def draw(network):
    """Weights whose distributions are far from uniform."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in network.parameters():
            if weights.ndim == 2 or not weights.any():  # matrices, and biases, which are made 0
                weights.normal_(0.0, 0.25, generator=generator)
    return network


def save(folder, make, tokenizer, size=None):
    """A network in a folder, with its tokenizer, as a model from the hub comes."""
    with torch.random.fork_rng(devices=[]):
        network = make(size or tokenizer.vocab_size + PADDING)
    draw(network).save_pretrained(folder)
    tokenizer.to_transformers().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Where a network is saved, with the tokenizer of `Echo`; made when it is first asked for."""
    tokenizer, made = vector(Echo()).mdp.tokenizer, {}

    def folder(name):
        if name not in made:
            made[name] = save(tmp_path_factory.mktemp("model"), NETWORKS[name], tokenizer)
        return made[name]

    return folder


def recomputed(model, batch):
    with torch.no_grad():
        return model.log_probs(torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)).log_probs.numpy()


def gap(model, batch):
    return np.abs(batch.log_probs - recomputed(model, batch))[batch.mask].max()


def is_tied(model):
    return model.network.get_input_embeddings().weight is model.network.get_output_embeddings().weight


# The policy that acts is the policy that is trained


@pytest.mark.parametrize("name", NETWORKS)
def test_sampling_and_training_agree(folders, tmp_path, name):
    turns = vector(Counting())
    counting = save(tmp_path / "counting", NETWORKS[name], turns.mdp.tokenizer)
    pretrained = save(tmp_path / "bytes", NETWORKS[name], ByteTokenizer())
    for envs, folder in (
        (vector(Echo()), folders(name)),
        (turns, counting),
        (vector(Echo(), tokenizer=pretrained), pretrained),  # the folder's own, as one from the hub is used
    ):
        model = LanguageModel.load(folder, envs.mdp.tokenizer)
        assert is_tied(model) == (name in TIED)
        agent = LanguageModelAgent(model, seed=1)
        for seed in (0, 1):  # the second batch meets a cache that was used
            batch = rollout(agent, envs, seed=seed)
            assert batch.log_probs[batch.mask].std() > 0.1
            assert batch.tokens.max() < envs.mdp.tokenizer.vocab_size < len(model.never)
            assert gap(model, batch) < 1e-4 == model.tolerance


def test_sampling_and_training_agree_where_masks_are_added_to_scores(tmp_path):
    """As Gemma 2, GPT-J and gpt-oss do, which have no fused attention."""
    envs = vector(Counting())

    def gemma2(size):
        config = Gemma2Config(
            vocab_size=size, max_position_embeddings=LENGTH, num_key_value_heads=2, head_dim=8, pad_token_id=0, **SHAPE
        )
        config._attn_implementation = "eager"
        return Gemma2ForCausalLM(config)

    model = LanguageModel.load(save(tmp_path, gemma2, envs.mdp.tokenizer), envs.mdp.tokenizer)
    assert model.network.config._attn_implementation == "eager"
    assert gap(model, rollout(LanguageModelAgent(model), envs, seed=0)) < 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_greedy_is_what_transformers_generates(folders, name):
    envs = vector(Echo())
    tokenizer, budget = envs.mdp.tokenizer, envs.mdp.max_response_tokens
    model = LanguageModel.load(folders(name), tokenizer)
    batch = rollout(LanguageModelAgent(model, greedy=True), envs, seed=0)
    prompts = [row[roles == 1].tolist() for row, roles in zip(batch.tokens, batch.roles, strict=True)]
    said = [row[roles == 2].tolist() for row, roles in zip(batch.tokens, batch.roles, strict=True)]
    assert len({*map(len, prompts)}) > 1
    assert len({*map(tuple, said)}) > 1

    def generated(prompts):
        longest = max(map(len, prompts))
        ids = torch.tensor([[tokenizer.pad_id] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        found = model.network.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=budget,
            suppress_tokens=model.never.nonzero()[:, 0].tolist(),
            eos_token_id=tokenizer.end_id,
            pad_token_id=tokenizer.pad_id,
        )[:, longest:].tolist()
        return [row[: row.index(tokenizer.end_id) + 1] if tokenizer.end_id in row else row for row in found]

    assert generated(prompts) == said  # a batch of unequal prompts, padded on the left
    assert [generated([prompt])[0] for prompt in prompts] == said


# Trained, saved, and opened elsewhere


@pytest.mark.parametrize("name", NETWORKS)
def test_an_update_changes_the_weights_and_what_is_saved_opens_in_transformers(tmp_path, name):
    # Bytes, since AutoTokenizer takes any tokenizer that is saved with a Qwen2 for Qwen2's own, of bytes.
    envs = vector(Chatty(), 16, tokenizer="bytes")
    model = LanguageModel.load(save(tmp_path, NETWORKS[name], ByteTokenizer()), envs.mdp.tokenizer)
    before = copy.deepcopy(model.network.state_dict())
    metrics = Trainer(model, envs, Config(episodes=16, group_size=4, warmup_updates=0)).step()
    assert metrics["grad_norm"] > 0
    assert any(not torch.equal(weights, before[name]) for name, weights in model.network.state_dict().items())
    assert is_tied(model) == (name in TIED)

    model.save(tmp_path)
    network, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    tokens = torch.tensor([model.tokenizer.encode("say 12: 34x")])
    assert tokenizer("say 12: 34x", add_special_tokens=False)["input_ids"] == tokens[0].tolist()
    with torch.no_grad():
        assert torch.equal(network(input_ids=tokens).logits, model.network(input_ids=tokens).logits)
    again = LanguageModel.load(tmp_path, envs.mdp.tokenizer)
    assert is_tied(again) == (name in TIED)
    batch = rollout(LanguageModelAgent(again), envs, seed=0)
    np.testing.assert_array_equal(recomputed(again, batch), recomputed(model, batch))


# Precision and place


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_weights_agree_within_their_tolerance(folders, tmp_path, name):
    envs = vector(Echo(), 48)
    model = LanguageModel.load(folders(name), envs.mdp.tokenizer, dtype="bfloat16")
    assert {weights.dtype for weights in model.network.parameters()} == {torch.bfloat16}
    assert model.tolerance == 0.25
    batch = rollout(LanguageModelAgent(model, seed=0), envs, seed=0)
    statistics = model.log_probs(torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles))
    assert statistics.log_probs.dtype == statistics.every.dtype == torch.float32
    torch.testing.assert_close(statistics.every.exp().sum(-1), torch.ones(len(statistics.every)))
    assert gap(model, batch) < model.tolerance / 2
    exact = LanguageModel.load(folders(name), envs.mdp.tokenizer)
    assert gap(exact, batch) > exact.tolerance  # so it is in use, and float32's tolerance would be too tight

    model.save(tmp_path)
    for dtype, expected in (("auto", torch.bfloat16), ("float32", torch.float32)):
        assert LanguageModel.load(tmp_path, envs.mdp.tokenizer, dtype=dtype).network.dtype == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_autocast_rounds_sampling_and_training_alike(folders, name):
    envs = vector(Echo(), 48)
    model = LanguageModel.load(folders(name), envs.mdp.tokenizer, autocast=True)
    exact = LanguageModel.load(folders(name), envs.mdp.tokenizer)
    assert {weights.dtype for weights in model.network.parameters()} == {torch.float32}
    assert precision(model.network) == precision(copy.deepcopy(model.network)) == torch.bfloat16
    assert precision(exact.network) == torch.float32
    batch = rollout(LanguageModelAgent(model, seed=0), envs, seed=0)
    assert gap(model, batch) < model.tolerance / 2
    assert gap(exact, batch) > exact.tolerance  # sampling is rounded, too
    assert not torch.is_autocast_enabled("cpu")
    model.log_probs(torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)).log_probs.sum().backward()
    assert {weights.grad.dtype for weights in model.trainable() if weights.grad is not None} == {torch.float32}


def test_autocast_ends_with_a_pass_that_fails():
    network = llama(20)
    compute_in_bfloat16(network)
    with pytest.raises(IndexError):
        network(input_ids=torch.tensor([[99]]))
    assert not torch.is_autocast_enabled("cpu")


def test_autocast_is_each_thread_s_own():
    network, tokens = llama(20), torch.tensor([[3, 4, 5]])
    compute_in_bfloat16(network)

    def ask(number):
        dtype = network(input_ids=tokens).logits.dtype
        return dtype, torch.is_autocast_enabled("cpu")

    with ThreadPoolExecutor(4) as pool:
        assert {*pool.map(ask, range(40))} == {(torch.bfloat16, False)}


def test_a_graphics_card_is_used_where_there_is_one(folders, monkeypatch):
    """There is none where this is tested: what is asked of torch is."""
    tokenizer, places = vector(Echo()).mdp.tokenizer, []
    monkeypatch.setattr(PreTrainedModel, "to", lambda network, place: places.append(place))
    assert precision(LanguageModel.load(folders("llama"), tokenizer, device="cpu").network) == torch.float32
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert precision(LanguageModel.load(folders("llama"), tokenizer).network) == torch.bfloat16
    whole = LanguageModel.load(folders("llama"), tokenizer, autocast=False)
    assert precision(whole.network) == torch.float32
    halved = LanguageModel.load(folders("llama"), tokenizer, dtype="bfloat16")
    assert not any(module._forward_pre_hooks for module in halved.network.modules())
    assert places == [torch.device(name) for name in ("cpu", "cuda", "cuda", "cuda")]


# Adapters

needs_peft = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="adapters need peft")


@needs_peft
@pytest.mark.parametrize("name", NETWORKS)
def test_adapters_learn_and_the_network_is_the_reference(folders, tmp_path, name):
    from peft import PeftModel

    envs = vector(Chatty(), 16)
    base = LanguageModel.load(folders(name), envs.mdp.tokenizer)
    model = add_lora(LanguageModel.load(folders(name), envs.mdp.tokenizer), rank=4)
    assert {id(w) for w in model.trainable()} == {
        id(w) for name, w in model.network.named_parameters() if "lora" in name
    }
    assert sum(w.numel() for w in model.trainable()) < model.num_parameters / 2
    assert len(base.trainable()) == len([*base.network.parameters()])
    batch = rollout(LanguageModelAgent(model), envs, seed=0)
    np.testing.assert_array_equal(recomputed(model, batch), recomputed(base, batch))

    trainer = Trainer(model, envs, Config(episodes=16, group_size=4, warmup_updates=0, learning_rate=0.05))
    for _ in range(2):  # in the first only B has a gradient
        trainer.step()
    batch = rollout(LanguageModelAgent(model), envs, seed=0)
    assert gap(model, batch) < 1e-4  # what decodes sees the adapters
    assert gap(base, batch) > 1e-2  # and they have learned
    with model.reference():
        np.testing.assert_array_equal(recomputed(model, batch), recomputed(base, batch))
        as_before = rollout(LanguageModelAgent(model, seed=3), envs, seed=0)
        assert gap(base, as_before) < 1e-4
    assert gap(model, batch) < 1e-4

    before = copy.deepcopy(model.network.state_dict())
    model.save(tmp_path)
    assert all(torch.equal(weights, before[name]) for name, weights in model.network.state_dict().items())
    tokens = torch.from_numpy(batch.tokens)
    with torch.no_grad():
        merged = AutoModelForCausalLM.from_pretrained(tmp_path)
        expected = model.network(input_ids=tokens).logits
        torch.testing.assert_close(merged(input_ids=tokens).logits, expected, atol=1e-4, rtol=1e-4)
        adapted = PeftModel.from_pretrained(base.network, tmp_path / "adapter")
        torch.testing.assert_close(adapted(input_ids=tokens).logits, expected, atol=1e-4, rtol=1e-4)
    again = LanguageModel.load(tmp_path, envs.mdp.tokenizer)
    assert is_tied(again) == (name in TIED)
    assert len(again.trainable()) == len([*again.network.parameters()])


@needs_peft
def test_the_reference_may_be_asked_between_forward_and_backward(folders):
    envs = vector(Echo())
    model = add_lora(LanguageModel.load(folders("llama"), envs.mdp.tokenizer))
    batch = rollout(LanguageModelAgent(model), envs, seed=0)
    tokens, roles = torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)

    def gradients(ask):
        model.network.zero_grad()
        log_probs = model.log_probs(tokens, roles).log_probs.sum()
        if ask:
            with model.reference(), torch.no_grad():
                model.log_probs(tokens, roles)
        log_probs.backward()
        return [weights.grad for weights in model.trainable()]

    for one, other in zip(gradients(True), gradients(False), strict=True):
        assert torch.equal(one, other)


@needs_peft
def test_adapters_keep_what_the_network_computes_in(folders):
    envs = vector(Echo())
    for options in ({"dtype": "bfloat16"}, {"autocast": True}):
        model = add_lora(LanguageModel.load(folders("qwen2, grouped heads"), envs.mdp.tokenizer, **options))
        assert precision(model.network) == torch.bfloat16
        assert {weights.dtype for weights in model.trainable()} == {torch.float32}  # small updates are not lost
        with torch.no_grad():
            for weights in model.trainable():
                weights.add_(0.05)
        assert gap(model, rollout(LanguageModelAgent(model), envs, seed=0)) < model.tolerance / 2


@needs_peft
def test_adapters_follow_from_the_seed_and_go_where_they_are_told(folders):
    tokenizer = vector(Echo()).mdp.tokenizer
    before = torch.random.get_rng_state()
    one, same, other = (add_lora(LanguageModel.load(folders("llama"), tokenizer), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [torch.cat([w.flatten() for w in model.trainable()]) for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    some = add_lora(LanguageModel.load(folders("llama"), tokenizer), targets=["q_proj", "v_proj"])
    adapted = {name.split(".lora_")[0].split(".")[-1] for name, w in some.network.named_parameters() if w.requires_grad}
    assert adapted == {"q_proj", "v_proj"}
    assert isinstance(some, AdaptedModel)
    with pytest.raises(ValueError, match="has adapters already"):
        add_lora(some)
    with pytest.raises(ValueError, match="rank=0 must be at least 1"):
        add_lora(LanguageModel.load(folders("llama"), tokenizer), rank=0)


def test_without_peft_the_command_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    model = LanguageModel.tiny(LexiconTokenizer("ab"), 8, width=16, heads=2, layers=1)
    with pytest.raises(ImportError, match=r'pip install "textmdp\[lora\]"'):
        add_lora(model)


# What is refused, in one line


def refusal(folder, tokenizer=None, **options):
    with pytest.raises((ValueError, OSError)) as caught:
        LanguageModel.load(folder, tokenizer or LexiconTokenizer("ab"), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert any(fix in message for fix in (": give ", "; give ", "is none of"))
    return message


def test_folders_that_hold_no_model(tmp_path, monkeypatch):
    assert "is no folder" in refusal(tmp_path / "nowhere")
    assert "is no folder" in refusal("./nowhere")
    assert "without config.json" in refusal(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert "can't be read (Unrecognized model" in refusal(tmp_path)
    (tmp_path / "config.json").write_text("{")
    assert "can't be read" in refusal(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").touch()
    assert f"is a run: give its model, {str(tmp_path / 'model')!r}" in refusal(tmp_path)
    (tmp_path / "adapter_config.json").touch()
    assert "is an adapter" in refusal(tmp_path)
    assert "is no folder" in refusal(str(tmp_path / "config.json"))

    def offline(source):
        raise OSError("We couldn't connect\nto the hub")

    monkeypatch.setattr(loading.AutoConfig, "from_pretrained", offline)
    assert "'some/model' is no folder here, and did not come from the hub (We couldn't connect)" in refusal(
        "some/model"
    )


def test_models_that_can_not_be_policies(tmp_path):
    tiny = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "intermediate_size": 16}
    with torch.random.fork_rng(devices=[]):
        networks = {
            "is an encoder-decoder (T5ForConditionalGeneration)": T5ForConditionalGeneration(
                T5Config(vocab_size=20, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
            ),
            "(BertLMHeadModel) does not say token by token": BertLMHeadModel(BertConfig(**tiny, **heads)),
            "(MambaForCausalLM) does not say token by token": MambaForCausalLM(MambaConfig(**tiny)),
            "has no weights for lm_head.weight": LlamaModel(LlamaConfig(**tiny, **heads, tie_word_embeddings=False)),
        }
        for message, network in networks.items():
            folder = tmp_path / type(network).__name__
            draw(network).save_pretrained(folder)
            assert message in refusal(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "vit", "architectures": ["ViTModel"]}))
    assert "is a ViTModel, which AutoModelForCausalLM can't open" in refusal(folder)


def test_tokenizers_that_the_model_was_not_trained_with(tmp_path, folders):
    tokenizer = LexiconTokenizer("abcd")
    folder = save(tmp_path / "other", llama, tokenizer)
    message = refusal(folder, LexiconTokenizer("abdc"))
    assert "with 2 ids that differ: id 5 is 'c' to the model and 'd' to the environment, id 6" in message
    assert f"give the environment the model's own: tokenizer={folder!r}" in message
    assert "id 7 is nothing to the model and 'e'" in refusal(folder, LexiconTokenizer("abcde"))
    assert "id 6 is 'd' to the model and nothing" in refusal(folder, LexiconTokenizer("abc"))
    assert "ids that differ" in refusal(folder, ByteTokenizer())
    LanguageModel.load(folder, vector(Echo(), tokenizer=folder, context_length=32).mdp.tokenizer)

    small = save(tmp_path / "small", llama, tokenizer, size=6)
    assert "the network embeds 6 tokens" in refusal(small, tokenizer)
    bare = shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer*"))
    LanguageModel.load(bare, LexiconTokenizer("abdc"))  # nothing is known of its tokens


def test_a_dtype_that_is_none():
    assert "dtype='float8' is none of 'float32', 'bfloat16', 'auto'" in refusal("some/model", dtype="float8")


def test_a_context_ends_where_a_layer_no_longer_sees_the_beginning():
    tokenizer = vector(Echo()).mdp.tokenizer

    def mistral(window):
        config = MistralConfig(vocab_size=24, max_position_embeddings=LENGTH, sliding_window=window, **SHAPE)
        return LanguageModel(MistralForCausalLM(config), tokenizer)

    assert mistral(None).context_length == LENGTH
    assert mistral(16).context_length == 16
    with pytest.raises(ValueError, match="beyond the 16 positions"):
        rollout(LanguageModelAgent(mistral(16)), vector(Echo()), seed=0)
    assert LanguageModel(qwen2(24, sliding_window=16), tokenizer).context_length == LENGTH
    sliding = qwen2(24, sliding_window=16, use_sliding_window=True, max_window_layers=1)
    assert LanguageModel(sliding, tokenizer).context_length == 16
    assert LanguageModel(gpt2(24), tokenizer).context_length == LENGTH
