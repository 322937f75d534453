"""The command line, `textmdp`."""
