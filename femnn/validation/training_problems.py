"""Networks that a study of training methods trains: their rows, losses, and what a user asks about.

The published classifier and regressor, and shipped networks, which learn from errors of rules themselves.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch

from femnn.checks import one_of
from femnn.exceptions import DatasetError
from femnn.networks.element_data import LabelledElements
from femnn.networks.perceptron import Architecture
from femnn.networks.torch_perceptron import row_tensors
from femnn.quadrature.adaptive.fit import directional_network, rules_of_outputs
from femnn.quadrature.corrected.networks import classifier_rows, improvable, mean_r_error, regressor_rows
from femnn.quadrature.moved.fit import moved_network

#: Networks that a study may train: the published two, and shipped ones, which learn from errors of rules themselves:
#: the regressor of `CorrectedGauss`, the networks of `AdaptiveGauss` and of `MovedGauss`.
PROBLEMS = ("classifier", "regressor", "shipped-regressor", "shipped-points", "shipped-moved")

# Shares of the elements that train and that choose; the others report. Few train, because that takes the time; twice as
# many choose, because a rule to stop that follows the noise of a small set ends early.
_TRAIN, _CHOOSE = 1.0 / 6.0, 1.0 / 3.0
_USES = ("train", "choose", "report")

# Of the Error, the default of `AdaptiveGauss`.
_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class TrainingProblem:
    """A network to train, on three sets of rows: one trains, one chooses, one reports.

    Attributes
    ----------
    name : str
    architecture : Architecture
        With the published activation, the logistic sigmoid.
    scales : dict
        Standardisation, see :func:`femnn.networks.perceptron.standardisation`.
    loss : callable
        ``loss(prediction, *targets)``, a mean over rows.
    rows : list
        Of the three sets: tensors, the features first.
    figure : callable
        ``figure(prediction)`` of the features that report: what a user asks about.
    figure_name : str
    larger : bool
        The figure is better the larger it is.
    """

    name: str
    architecture: Architecture
    scales: dict[str, np.ndarray]
    loss: Callable[..., torch.Tensor]
    rows: Sequence[Sequence[torch.Tensor]]
    figure: Callable[[torch.Tensor], float]
    figure_name: str
    larger: bool = False

    @cached_property
    def constant(self) -> float:
        """Loss on the rows that choose of the best answer that is the same for every row: what is to be gained over.

        Plateaus where a network has learnt nothing but this are long, and no optimum.
        """
        scales = {name: torch.as_tensor(values, dtype=torch.float32) for name, values in self.scales.items()}
        mean, scale = scales.get("output_mean", torch.tensor(0.0)), scales.get("output_scale", torch.tensor(1.0))
        answer = torch.zeros(self.architecture.outputs, requires_grad=True)
        optimizer = torch.optim.LBFGS([answer], max_iter=200, line_search_fn="strong_wolfe")

        def loss(rows):
            features, *targets = rows
            return self.loss((answer * scale + mean).expand(*features.shape[:-1], -1), *targets)

        def closure():
            optimizer.zero_grad()
            value = loss(self.rows[0])
            value.backward()
            return value

        optimizer.step(closure)
        return float(loss(self.rows[1]).detach())


def training_problem(name: str, dataset: LabelledElements) -> TrainingProblem:
    """One of `PROBLEMS` on the elements of a data set.

    Parameters
    ----------
    name
        ``"classifier"``: 4 × 30, do other weights help an element? ``"regressor"``: 5 × 50, which weights, by least
        squares on the best; ``"shipped-regressor"``: by R_error itself. ``"shipped-points"``: 2 × 64, the Error of
        rules; ``"shipped-moved"``: 3 × 96, moved points, by R_error.
    dataset
        A sixth of it trains, a third chooses, the rest reports, in its order. A `femnn.networks.Dataset`; for the
        points the `DirectionalData` of :mod:`femnn.quadrature.adaptive.data`, for moved ones the `MovedData` of
        :mod:`femnn.quadrature.moved.fit`.

    Raises
    ------
    ParameterError
        If there is no such problem.
    DatasetError
        If the elements that train, choose or report are none or, for a classifier, all of one class.
    """
    one_of("problem", name, PROBLEMS)
    first, second = round(_TRAIN * len(dataset)), round((_TRAIN + _CHOOSE) * len(dataset))
    parts = [dataset[:first], dataset[first:second], dataset[second:]]
    for part, which in zip(parts, _USES, strict=True):
        if len(part) == 0:
            raise DatasetError(f"no element is left to {which}; draw more elements than {len(dataset)}")
    makers: dict[str, Callable] = {
        "classifier": _classifier,
        "regressor": partial(_regressor, "optimal"),
        "shipped-regressor": partial(_regressor, "error"),
        "shipped-points": _points,
        "shipped-moved": _moved,
    }
    architecture, scales, loss, rows, figure, figure_name, larger = makers[name](parts)
    return TrainingProblem(name, architecture, scales, loss, _tensors(rows), figure, figure_name, larger)


def _classifier(parts):
    labels = _improvable(parts)
    architecture, scales, loss, rows = classifier_rows(parts, labels)
    return architecture, scales, loss, rows, partial(_accuracy, torch.tensor(labels[2])), "right", True


def _regressor(target, parts):
    _improvable(parts)
    architecture, scales, loss, rows = regressor_rows(parts, target)
    reporting = rows[2] if target == "error" else regressor_rows(parts[2:], "error")[3][0]
    figure = partial(_mean_error, mean_r_error, _tensors([reporting[1:]])[0])
    return architecture, scales, loss, rows, figure, "mean R_error", False


def _improvable(parts):
    """Labels of all parts; DatasetError where a classifier would learn nothing of them."""
    labels = [improvable(part) for part in parts]
    for part, which in zip(labels, _USES, strict=True):
        if part.all() or not part.any():
            what = "improvable" if part[0] else "not improvable"
            raise DatasetError(
                f"the {len(part)} elements that {which} are all of the class {what}; a classifier learns nothing of "
                f"them: draw more elements than {sum(map(len, labels))}, or others"
            )
    return labels


def _points(parts):
    rows = [part.rows("entries") for part in parts]
    architecture, scales, loss = directional_network(rows[0])
    return architecture, scales, loss, rows, partial(_judged, *_tensors([rows[2][2:]])[0]), "judged rightly", True


def _moved(parts):
    rows = [part.rows(patch=False) for part in parts]
    architecture, scales, loss = moved_network(parts[0].recipe)
    figure = partial(_mean_error, loss, _tensors([rows[2][1:]])[0])
    return architecture, scales, loss, rows, figure, "mean R_error", False


def _tensors(parts):
    return [row_tensors(rows, "study", torch.device("cpu")) for rows in parts]


def _accuracy(truth, prediction):
    return float(((prediction[:, 0] > 0.0) == truth).double().mean())


def _mean_error(loss, targets, prediction):
    return float(loss(prediction, *targets))


def _judged(picks, offsets, wholes, prediction):
    """Share of the rules of which the network says rightly whether they keep the tolerance of `AdaptiveGauss`."""
    keeps = wholes.nan_to_num(-math.inf) < math.log2(_TOLERANCE)
    return float(((rules_of_outputs(prediction, picks, offsets)[0] < math.log2(_TOLERANCE)) == keeps).double().mean())
