"""Calls carried out: the chain's checks in the chain's order under the chain's error names, then the change."""
