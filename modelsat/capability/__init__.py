"""Capability cards: a candidate's aptitude test results, as text and numbers."""
