"""Parameters of the nodes, declared once; `pages` writes their documentation."""
