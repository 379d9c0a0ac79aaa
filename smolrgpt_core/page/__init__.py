"""A local web page to try questions on frames and to see how they are answered.

Only `app` and the modules of what is seen import NiceGUI, the extra `page`; what they show is
computed by the others.
"""
