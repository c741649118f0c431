"""The first screen in one answer: what flows, who lives, how long it takes, what is still to do.

pulse        looks at the counters every few seconds and keeps a quarter of an hour of them
liveness     who gives a sign of life, and what can be said of database and broker
snapshot     one look at the database, made for all who ask within a second
routes       GET /overview
"""
