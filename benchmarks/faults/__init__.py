"""A campaign of faults: damaged files, killed and interrupted runs, foreign arguments, elements of any shape."""
