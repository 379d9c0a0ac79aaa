"""Studies: many training runs that differ in a few settings, side by side.

`config` says which runs there are, `jobs` does one, `processes` and `on_ray` do many, `table` and
`plots` show what came out, `page` writes it into the documentation.
"""
