"""The study file: its model, its keys, its reference, a first one for a data set."""
