"""The policy and its value function: causal language models of transformers, LoRA, precision, loading."""
