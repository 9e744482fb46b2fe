"""Training recurrent laws on a classical law, on grains or on a representative cell."""
