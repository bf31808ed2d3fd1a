"""Readers of logs and result files, one module for each format."""
