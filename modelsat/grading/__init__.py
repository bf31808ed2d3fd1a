"""Grading: from what a model said to a grade, one module for each way to grade."""
