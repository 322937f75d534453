"""Models that can't be policies, or not with this tokenizer, are refused in one line that names the fix."""

import json
import shutil

import pytest
import torch
from networks import MARKS, draw, llama, save, vector
from toys import Echo
from transformers import (
    BertConfig,
    BertLMHeadModel,
    LlamaConfig,
    LlamaModel,
    MambaConfig,
    MambaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from textmdp.agents.inference.compatibility import load_model
from textmdp.agents.models import loading
from textmdp.agents.models.language_model import LanguageModel
from textmdp.envs import ByteTokenizer, LexiconTokenizer

pytestmark = MARKS


def refusal(folder, tokenizer=None, **options):
    with pytest.raises((ValueError, OSError)) as caught:
        load_model(folder, tokenizer or LexiconTokenizer("ab"), **options)
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
            "(BertLMHeadModel) gives other log-probabilities": BertLMHeadModel(BertConfig(**tiny, **heads)),
            "(MambaForCausalLM) gives other log-probabilities": MambaForCausalLM(MambaConfig(**tiny)),
            "has no weights for lm_head.weight": LlamaModel(LlamaConfig(**tiny, **heads, tie_word_embeddings=False)),
        }
        for message, network in networks.items():
            folder = tmp_path / type(network).__name__
            draw(network).save_pretrained(folder)
            assert message in refusal(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "vit", "architectures": ["ViTModel"]}))
    assert "is a ViTModel, which AutoModelForCausalLM can't open" in refusal(folder)


def test_tokenizers_that_the_model_was_not_trained_with(tmp_path):
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
