"""Graded outcomes as a matrix of instructions by candidates: joined and split."""
