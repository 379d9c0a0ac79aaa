"""The demo: starts the graph, asks, and compares the answers with the truth."""
