"""Shared by the notebooks of the course: figures, exercises that check themselves, exact figures of tables."""
