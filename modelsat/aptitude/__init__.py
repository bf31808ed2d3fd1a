"""The aptitude test: its core tasks, how they are asked, and how answers are graded."""
