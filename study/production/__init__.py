"""From a configuration to a generator in use: `train`, `sample`, `evaluate`, `promote`, `run-trial`."""
