"""Answers read by more than rules: by the likelihood of candidates, and by language models.

A language model may read only what the rules refuse. What it says is believed only when it quotes
the answer, and this project's own parser finds the same in the quotation.
"""
