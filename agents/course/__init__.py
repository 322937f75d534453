"""What the notebooks of the course share: figures, exercises that check themselves, exact figures of tables."""
