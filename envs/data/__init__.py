"""Rows of data files, and counter-based random numbers for generated problems."""
