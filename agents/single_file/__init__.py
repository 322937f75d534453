"""Four policy-gradient algorithms for text, one readable file each, to be read with `diff` in the order of the list.

`reinforce`, `actor_critic`, `ppo`, `grpo`: each is complete in itself and differs from the one before by its idea.
"""
