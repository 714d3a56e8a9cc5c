"""What a validator owes the network, whatever happens to it: its word kept, and never two words at once."""
