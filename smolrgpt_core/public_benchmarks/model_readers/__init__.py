"""Readers of answers beyond rules: likelihoods of candidates, and language models.

A language model may only read what the rules refuse. Its output is accepted only if it quotes the
answer and this project's own parser finds the same value in the quotation.
"""
