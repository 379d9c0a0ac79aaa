"""Public spatial benchmarks: read as published, scored by the rules of their authors and others.

Scoring is independent of models: it compares answers with the truth. `running` asks a model first.
`registry` lists the benchmarks by name.
"""
