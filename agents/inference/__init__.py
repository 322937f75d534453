"""Decoding: sampling from a language model through a key-value cache."""
