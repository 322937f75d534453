"""The frame of the course's notebooks: figures for light and dark pages, and exercises that check themselves."""
