"""The names of samplers in a study file; `study.running.sampling` makes them."""

SAMPLERS = ("tpe", "random")
