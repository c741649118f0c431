"""All SQL of the consumer, and of the dispatcher.

batch       what one transaction writes: dedupe, history, effects, verdicts, dead letters
ledger      the built-in effect of paid and refunded orders
deliveries  what rules send, as rows of that transaction
replays     what was asked of the runs after the first
rules       which rules are live, and what became of them
waiting     what waits for its time or its turn, and requests to redrive or discard
progress    how far each partition is
dispatch    due deliveries: found, locked and claimed
recording   what was learned by sending them
upkeep      expired leases, what is skipped, redrives, counts
"""
