"""The groups of a rule on a mesh, with the checks that every way of assembly makes."""

from femnn.checks import brief
from femnn.exceptions import ParameterError, warn
from femnn.geometry.validity import require_size
from femnn.quadrature.rule import Rule


def check_rule(rule):
    """Raise ParameterError unless ``rule`` is one of femnn's."""
    if not isinstance(rule, Rule):
        raise ParameterError(
            f"{brief(rule)} is not a rule; pass femnn.GaussLegendre(2), femnn.AdaptiveGauss(tol=1e-3), ..."
        )


def groups_of(rule, vertices, on_folded):
    """``rule.groups``, with a warning that counts the elements left out by ``on_folded="skip"``."""
    groups = rule.groups(vertices, on_folded)
    require_size(vertices)
    left_out = len(vertices) - sum(len(group.cells) for group in groups)
    if left_out and not rule.leaves_out:
        warn(f"{left_out} of {len(vertices)} elements are folded or degenerate and left out of the assembly")
    return groups
