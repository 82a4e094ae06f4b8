"""Many trials: launch, resume, record, report and pick the best."""
