"""The one seam between a question and its answer, and what stands behind it."""
