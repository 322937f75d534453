"""Collecting episodes in lock-step, scripted agents, and checks of a batch."""
