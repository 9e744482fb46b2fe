"""Elements that are hard to integrate."""

from femnn.geometry.sampling import nearly_folded


def stretched_to_the_brink(share, n=12):
    """Elements whose smallest Bernstein coefficient of det J is ``share`` of their mean: one vertex pushed inwards."""
    return nearly_folded(n, share, seed=4)
