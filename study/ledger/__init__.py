"""What happened in a study, on disk: events, the append-only ledger that keeps them, and what they fold to."""
