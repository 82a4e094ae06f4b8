"""A study at work: what to try next, whether a trial goes on, and the Ray, the display and the driver around it."""
