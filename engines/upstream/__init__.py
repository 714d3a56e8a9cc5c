"""Engines behind an engine: worker processes of this box, other engines, and any OpenAI-compatible server."""
