"""How far FIDs differ by chance."""
