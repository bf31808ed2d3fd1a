"""Graders of model outputs, one module for each kind of answer."""
