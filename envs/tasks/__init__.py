"""The tasks that ship with the package: what is said, what it earns, and what an expert would say."""
