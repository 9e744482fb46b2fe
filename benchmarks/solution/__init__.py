"""From mesh arrays to the solution: femnn beside the programs that others would take."""
