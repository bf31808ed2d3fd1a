"""Outcomes that people have already: logs and result files of evaluation tools."""
