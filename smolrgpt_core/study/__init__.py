"""Studies: many training runs that differ in a few settings, side by side.

`config` defines the runs, `jobs` executes one, `processes` and `on_ray` execute many, `table` and
`plots` show the results, `page` writes them to the documentation.
"""
