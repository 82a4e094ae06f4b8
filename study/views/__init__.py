"""Records as tables for a terminal: trials, spaces, comparisons."""
