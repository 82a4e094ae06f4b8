"""Exit codes of the command line; `trainables.errors` has those of errors (1 failed, 2 wrong usage or input)."""

NO_COMPLETED_TRIAL = 3
INTERRUPTED = 130
