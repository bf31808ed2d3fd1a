"""What is seen from outside: metrics, traces, logs and the routing log. No text of a prompt."""
