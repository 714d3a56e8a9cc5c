"""Pictures from text: diffusers pipelines, a small model of our own, and the check of a received picture."""
