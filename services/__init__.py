"""Three deployables. None imports another."""
