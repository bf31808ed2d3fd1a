"""The router model: capability encoder, connector, base model and read-out."""
