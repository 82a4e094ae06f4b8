"""A ledger that is older than what lies beside it, as a copy that was put back: noticed, refused, or gone on from."""
