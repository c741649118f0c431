"""Targets: whom webhooks go to, with their limits and secrets."""
