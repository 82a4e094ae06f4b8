"""What follows from a study's records: rankings, tables, costs, comparisons, exports. Nothing here runs anything."""
