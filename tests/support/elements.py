"""Elements that are hard to integrate."""

import numpy as np

from femnn.geometry import VERTICES, bernstein_coefficients


def stretched_to_the_brink(share, n=12):
    """Elements whose smallest Bernstein coefficient of det J is ``share`` of their mean: one vertex pushed inwards."""
    random, found = np.random.default_rng(4), []
    for _ in range(n):
        vertices, low, high = VERTICES + random.uniform(-0.15, 0.15, (8, 3)), 0.0, 1.0
        for _ in range(40):
            middle = 0.5 * (low + high)
            pushed = vertices.copy()
            pushed[0] += middle * (vertices[7] - vertices[0])
            coefficients = bernstein_coefficients(pushed[None]).ravel()
            coefficients *= np.sign(coefficients.sum())
            low, high = (middle, high) if coefficients.min() > share * coefficients.mean() else (low, middle)
        pushed = vertices.copy()
        pushed[0] += low * (vertices[7] - vertices[0])
        found.append(pushed)
    return np.array(found)
