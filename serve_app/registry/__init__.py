"""The served zoo as versioned data: on disk, changed while serving, followed by replicas."""
