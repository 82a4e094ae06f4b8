"""How good generated images are: feature extractors, FID, metrics, real statistics and their cache."""
