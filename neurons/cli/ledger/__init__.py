"""Commands that read and change a chain: one file for each noun."""
