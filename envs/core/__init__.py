"""The Markov decision process itself: tasks, episodes, rules that all views share, randomness, spaces."""
