"""All SQL of the consumer.

batch    what one transaction writes: dedupe, history, effects, verdicts, dead letters
waiting  what waits for its time or its turn, and requests to redrive or discard
progress how far each partition is
"""
