"""``ranvier doctor``: everything that can be known before a start, each finding with its next step."""
