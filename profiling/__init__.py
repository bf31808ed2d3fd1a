"""The aptitude test: every candidate answers the same questions, in a Ray Data pipeline."""
