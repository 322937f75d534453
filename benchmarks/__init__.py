"""Measurements: speed as ratios in one run, learning curves over seeds."""
