"""What the commands of the command line do; `study.cli` has their names and help."""
