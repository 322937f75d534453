"""Accuracy, returns, pass@k and maj@k, with intervals."""
