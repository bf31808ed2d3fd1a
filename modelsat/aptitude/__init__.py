"""The aptitude test: its core tasks, their prompts, and how answers are graded."""
