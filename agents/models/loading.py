"""Loads causal language models from a folder or the Hugging Face hub, and refuses others in one line.

A policy needs a causal network, all of its weights, and the tokenizer that it was trained with: other tokens under the
same ids would raise no error, and train on noise.
"""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.utils import cached_file

from textmdp.agents.models.precision import compute_in_bfloat16
from textmdp.envs.tokenizers import Tokenizer
from textmdp.envs.tokenizers.hub import hub_or_cache

Source = str | PathLike[str]

#: Types of weights; "auto" is the type that they were saved in.
DTYPES: dict[str, torch.dtype | str] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "auto": "auto"}
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_WANTED = "give a folder that save_pretrained wrote, or a name on the hub such as 'Qwen/Qwen2.5-0.5B'"


def load_network(
    source: Source,
    tokenizer: Tokenizer,
    *,
    dtype: str = "float32",
    device: str | torch.device | None = None,
    autocast: bool | None = None,
) -> PreTrainedModel:
    """A causal language model of transformers.

    Args:
        source: a folder, or a name on the hub.
        tokenizer: that of the environment; the model's own must have the same tokens.
        dtype: of the weights: "float32"; "bfloat16", half of the memory, in which small updates are lost to rounding;
            "auto", the type that they were saved in.
        device: None for CUDA if there is one, else the CPU.
        autocast: multiply matrices in bfloat16 over float32 weights; None to do so on CUDA.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: it is no causal language model, has other tokens, or lacks weights.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r} is none of {', '.join(map(repr, DTYPES))}")
    with hub_or_cache():
        check_config(read_config(source), source)
        check_tokens(source, tokenizer)
        network, report = AutoModelForCausalLM.from_pretrained(source, dtype=DTYPES[dtype], output_loading_info=True)
    if report["missing_keys"]:
        raise ValueError(
            f"model={str(source)!r} has no weights for {min(report['missing_keys'])}, which would be random: give a "
            f"model that was saved whole, as {type(network).__name__}"
        )
    place = choose_device(device)
    network.to(place)
    if autocast is None:
        autocast = place.type == "cuda" and network.dtype == torch.float32
    if autocast:
        compute_in_bfloat16(network)
    return network


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device of this name; for None CUDA if there is one, else the CPU."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def read_config(source: Source) -> PretrainedConfig:
    """The configuration of a model; errors say in one line why there is none."""
    name, folder = str(source), Path(source)
    if folder.is_dir():
        if (folder / "adapter_config.json").is_file():
            raise ValueError(
                f"model={name!r} is an adapter, which needs the model that it was trained on: give the folder of the "
                "merged model, which `AdaptedModel.save` writes above its adapter/"
            )
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"model={name!r} is a folder without config.json, so no model: {_WANTED}")
    elif folder.exists() or isinstance(source, PathLike) or not _HUB_NAME.fullmatch(name):
        raise FileNotFoundError(f"model={name!r} is no folder: {_WANTED}")
    try:
        return AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        why = str(error).strip().partition("\n")[0]
        if (folder / "model" / "config.json").is_file():
            raise ValueError(f"model={name!r} is a run: give its model, {str(folder / 'model')!r}") from None
        if folder.is_dir():
            raise ValueError(f"model={name!r} can't be read ({why}): {_WANTED}") from None
        raise FileNotFoundError(
            f"model={name!r} is no folder here, and did not come from the hub ({why}): {_WANTED}"
        ) from None


def check_config(config: PretrainedConfig, source: Source) -> None:
    """Refuse models that aren't causal language models."""
    kind = (config.architectures or [type(config).__name__])[0]
    if config.is_encoder_decoder:
        raise ValueError(
            f"model={str(source)!r} is an encoder-decoder ({kind}), and a policy goes on with one row of tokens: "
            "give a causal language model"
        )
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ValueError(
            f"model={str(source)!r} is a {kind}, which AutoModelForCausalLM can't open: give a causal language model"
        )


def check_tokens(source: Source, tokenizer: Tokenizer) -> None:
    """Refuse a model whose tokenizer, if it has one, has other tokens than the environment's."""
    if cached_file(source, "tokenizer.json", _raise_exceptions_for_missing_entries=False) is None:
        return
    theirs = {i: token for token, i in AutoTokenizer.from_pretrained(source).get_vocab().items()}
    ours = {i: token for token, i in tokenizer.to_transformers().get_vocab().items()}
    differing = sorted(i for i in theirs.keys() | ours.keys() if theirs.get(i) != ours.get(i))
    if differing:
        shown = ", ".join(
            f"id {i} is {_quoted(theirs.get(i))} to the model and {_quoted(ours.get(i))} to the environment"
            for i in differing[:2]
        )
        raise ValueError(
            f"model={str(source)!r} has another tokenizer than the environment, with {len(differing)} ids that differ: "
            f"{shown}; give the environment the model's own: tokenizer={str(source)!r}"
        )


def _quoted(token: str | None) -> str:
    return "nothing" if token is None else repr(token)
