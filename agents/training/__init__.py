"""Training loops: imitation, and policy gradient from a batch of episodes to better weights."""
