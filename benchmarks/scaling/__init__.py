"""More than one process: labels by workers, assembly and solution on threads and ranks."""
