"""The plain PyTorch training step: data, groups, losses, stages and loop. No cluster."""
