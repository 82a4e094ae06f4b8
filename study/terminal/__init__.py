"""How the command line talks: options, errors, tables, hints, completion."""
