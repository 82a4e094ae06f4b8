"""`ganstudy verify`: proves from what is on disk that nothing was lost, counted twice or decided otherwise."""
