"""Views of a task: one action is a token (`TokenEnv`, `TokenVectorEnv`) or a response (`ResponseEnv`).

Shapes: T positions of the context, V tokens of the vocabulary, n rows of a vector environment, m of them that a call is
for, K tokens that are appended at once.
"""
