"""What may vary in a study, as data over Optuna distributions. Never imports ray, mlflow or `study`."""
