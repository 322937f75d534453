"""Episodes: collecting them in lock-step, scripted agents, and checks of a batch."""
