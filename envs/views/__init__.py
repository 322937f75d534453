"""Views of a task: one action is a token (`TokenEnv`, `TokenVectorEnv`) or a whole response (`ResponseEnv`)."""
