"""The served zoo as versioned data: kept on disk, changed while serving, followed by every replica."""
