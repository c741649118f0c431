"""Schemas of data: what is taken, how it is checked, and what this process knows of the types."""
