"""What the query node is made of: session, worker, statistics, diagnostics, recordings."""
