"""Networks of several architectures, tiny and unlike chance, in folders as models from the hub come."""

import numpy as np
import pytest
import torch
from toys import Echo
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from textmdp.envs import Reply, Score, TokenVectorEnv

# transformers reads and writes files through libraries that warn of things to come.
MARKS = [
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


def saved_networks(tmp_path_factory):
    """A function from names to folders of saved networks, with the tokenizer of `Echo`."""
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
