"""What tests of several rooms share: real databases, projects that are run from the command line,
refusals.
"""
