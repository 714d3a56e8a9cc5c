"""One complete, commented TOML for each role and subnet."""
