"""`ganstudy report`: a study as one HTML page."""
