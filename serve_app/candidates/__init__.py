"""Sending requests to candidates, local and remote, and turning to the next when one fails."""
