"""Options and help of every command; what a command does stands in the module it imports.

Those modules are imported when a command runs, so that ``jobtime --help`` loads neither torch nor
pandas.
"""
