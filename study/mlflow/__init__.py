"""MLflow as a projection of the ledger, written by the driver's one thread."""
