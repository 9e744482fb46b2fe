"""What the law of a fault predicts beside its traction, with derivatives, for cores that conduct by it."""

import numpy as np

# Step of the differences by which predictions of a law are derived, over its separation scale.
_STEP = 1e-6


def predicted_by(law, separation, state, new):
    """Predictions of a law beside the traction, by name: its own, or with central differences for derivatives.

    Parameters
    ----------
    law : Law
    separation : (n, 3)
    state, new : State
        Before and after the update by this separation.

    Returns
    -------
    dict of (values (n,), derivatives by the separation (n, 3))
    """
    own = law.predictions(new) if hasattr(law, "predictions") else {}
    if own:
        return own
    microstructure = getattr(law, "microstructure", None)
    if microstructure is None or not microstructure.predicted:
        return {}
    step = _STEP * law.separation_scale
    values = law.predict_microstructure(separation, state)
    slopes = np.stack(
        [
            law.predict_microstructure(separation + h, state) - law.predict_microstructure(separation - h, state)
            for h in step * np.eye(3)
        ],
        axis=-1,
    ) / (2.0 * step)  # fmt: skip
    return {name: (values[:, k], slopes[:, k]) for k, name in enumerate(microstructure.predicted)}
