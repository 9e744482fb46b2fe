"""From grains to a sealing fault: cost and error of every scale."""
