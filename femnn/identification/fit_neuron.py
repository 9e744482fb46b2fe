"""Training of one linear neuron with torch."""

import numpy as np
import torch


def train_neuron(inputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weights (k,) with which inputs (n, k) give the target (n,) with the least mean of squares: torch's L-BFGS."""
    values, wanted = torch.tensor(inputs), torch.tensor(target)
    # of unit size, so that one step length suits both
    scales = values.square().mean(dim=0).sqrt()
    size = wanted.square().mean().sqrt()
    weights = torch.zeros(values.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=100, tolerance_grad=1e-14, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = (values / scales @ weights - wanted / size).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return (weights.detach() * size / scales).numpy()
