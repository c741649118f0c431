"""Replays: an event once more, alone or in bulk, and how it compares with its first run."""
