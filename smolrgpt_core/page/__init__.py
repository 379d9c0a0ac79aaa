"""A local web page to try questions on frames and to see how they are answered.

Only `app` and the modules of visible elements import NiceGUI (the extra `page`); the others compute
what is shown.
"""
