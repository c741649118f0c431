"""Measurements: one file per claim. `make bench` runs them all; see README.md beside this file."""
