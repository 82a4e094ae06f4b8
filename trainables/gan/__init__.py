"""What a GAN is made of: networks, losses, penalties, optimisers, the step and the session that repeats it."""
