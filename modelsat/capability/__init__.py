"""Capability cards: what a candidate's aptitude test says about it, as text and numbers."""
