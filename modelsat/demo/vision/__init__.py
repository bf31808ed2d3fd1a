"""The demo's vision candidate: a LLaVA of 0.65 million weights that answers about pictures."""
