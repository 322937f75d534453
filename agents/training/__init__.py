"""Training loops: imitation of an expert, and policy-gradient updates on batches of episodes."""
