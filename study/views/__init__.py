"""What the records say, as tables and words for a terminal."""
