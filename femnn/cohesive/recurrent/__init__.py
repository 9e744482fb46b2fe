"""RecurrentCohesive: laws with a recurrent network, and the cells it is made of."""
