"""`ganstudy doctor`: looks at this machine before a study does."""
