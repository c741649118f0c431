"""The dispatcher, `python -m services.consumer dispatch`: sends what the ledger says is due.

process wires it; loop claims, hands over and records; webhook and mail send, outside of any
transaction.
"""
