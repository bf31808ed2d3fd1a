"""The aptitude test: Ray Data asks every candidate the same questions on vLLM and grades them."""
