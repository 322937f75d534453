"""The Markov decision process: tasks, episodes, the rules that all views share, randomness, spaces."""
