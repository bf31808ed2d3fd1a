"""The demo: a question bank and a zoo of tiny LLMs that the project makes itself."""
