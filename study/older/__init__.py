"""A ledger older than the files beside it, such as a restored copy: noticed, refused, or accepted on request."""
