"""What tests of several packages share: real databases, projects that are run from the command line,
refusals.
"""
