"""Deliveries: the ledger as clients see it, sending again, and settling what is unknown."""
