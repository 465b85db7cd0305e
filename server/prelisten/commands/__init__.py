"""What an operator types to look after a running site: one file for each group of subcommands.

Each is a thin door: parse, open, call, print. Exit status 0: all is well; 1: something was found; 2: it could not
be done. They work beside a running server, and change nothing unless their name says so.
"""
