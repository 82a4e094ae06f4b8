"""The same configurations again from fresh seeds: to confirm the best, and to measure the noise."""
