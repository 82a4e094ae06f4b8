"""`ganstudy confirm`: the best configurations again, from fresh seeds, on test images."""
