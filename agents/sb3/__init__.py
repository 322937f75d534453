"""Agents of Stable-Baselines3: a fast environment, networks that read tokens, settings that learn."""

try:
    import sb3_contrib  # noqa: F401
    import stable_baselines3  # noqa: F401
except ImportError as error:
    raise ImportError(
        f'textmdp.agents.sb3 needs {error.name}, which is not installed: pip install "textmdp[sb3]"', name=error.name
    ) from error
