"""One GAN trial: a configuration becomes an FID curve.

Knows torch. Never imports optuna, mlflow, `search_spaces` or `study`; ray only in `trainables.tune`.
"""
