"""Own traffic: prompts that people have sent, and the sample that candidates are asked."""
