"""Training scripts of the weights that ship; run as modules, never imported by the rest."""
