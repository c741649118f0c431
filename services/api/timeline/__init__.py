"""The timeline: everything that is stored about one event, as one history."""
