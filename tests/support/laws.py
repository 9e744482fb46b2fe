"""Constitutive laws for tests: for one point and for many, in Numba, NumPy and torch."""

import numpy as np
import torch
from torch.func import grad, hessian, vmap

from femnn.assembly import isotropic_stiffness

#: A stiffness without any symmetry but the one that an energy gives.
ANISOTROPIC = (lambda a: a @ a.T + np.eye(6))(np.random.default_rng(7).normal(size=(6, 6)))

#: Lamé's λ and μ of the neo-Hookean laws.
NEO_HOOKE = (2.0, 1.0)


def hooke(strain, state, parameters, stress, tangent, new_state):
    """Any linear law; ``parameters`` are its stiffness, row by row."""
    n = len(stress)
    for i in range(n):
        stress[i] = 0.0
        for j in range(n):
            tangent[i, j] = parameters[n * i + j]
            stress[i] += tangent[i, j] * strain[j]


class Hooke:
    """The same for many points."""

    kinematics = "small"

    def __init__(self, stiffness):
        self.stiffness = stiffness

    def initial_state(self, n):
        return np.zeros((n, 0))

    def update(self, strain, state):
        return strain @ self.stiffness.T, np.tile(self.stiffness, (len(strain), 1, 1)), state


def recorder(strain, state, parameters, stress, tangent, new_state):
    """No stress; the state keeps the strain of each point and counts the updates that were committed."""
    stress[:] = 0.0
    new_state[:6] = strain
    new_state[6] = state[6] + 1.0


class J2:
    """Von Mises plasticity with linear isotropic hardening, for many points, with tensors in place of Voigt vectors."""

    kinematics = "small"

    def __init__(self, young, poisson, strength, hardening):
        self.bulk, self.shear = young / (3.0 * (1.0 - 2.0 * poisson)), young / (2.0 * (1.0 + poisson))
        self.strength, self.hardening = strength, hardening

    def initial_state(self, n):
        return np.zeros((n, 7))

    def update(self, strain, state):
        # a shear is counted twice in a tensor and its engineering strain is twice the tensor's
        weights = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
        identity = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
        elastic = (strain - state[:, :6]) / weights
        trace = elastic[:, :3].sum(axis=1, keepdims=True)
        trial = 2.0 * self.shear * (elastic - trace / 3.0 * identity)
        norm = np.sqrt((weights * trial**2).sum(axis=1))
        yielding = norm - np.sqrt(2.0 / 3.0) * (self.strength + self.hardening * state[:, 6])
        flow = np.maximum(yielding, 0.0) / (2.0 * self.shear + 2.0 / 3.0 * self.hardening)
        normal = trial / np.where(norm > 0.0, norm, 1.0)[:, None]
        stress = self.bulk * trace * identity + trial - 2.0 * self.shear * flow[:, None] * normal
        new_state = state + np.column_stack([flow[:, None] * weights * normal, np.sqrt(2.0 / 3.0) * flow])
        # J. C. Simo, T. J. R. Hughes (1998), Eqs. 3.3.10 to 3.3.13
        theta = 1.0 - 2.0 * self.shear * flow / np.where(norm > 0.0, norm, 1.0)
        theta_bar = np.where(yielding > 0.0, 1.0 / (1.0 + self.hardening / (3.0 * self.shear)) - (1.0 - theta), 0.0)
        deviatoric = np.diag(1.0 / weights) - np.outer(identity, identity) / 3.0
        tangent = self.bulk * np.outer(identity, identity) + 2.0 * self.shear * (
            theta[:, None, None] * deviatoric - theta_bar[:, None, None] * normal[:, :, None] * normal[:, None, :]
        )
        return stress, tangent, new_state


def neo_hooke(gradient, state, parameters, stress, tangent, new_state):
    """Compressible neo-Hooke: P = μ (F - F⁻ᵀ) + λ ln J F⁻ᵀ."""
    lame, shear = parameters
    f = gradient.copy()
    f[0], f[4], f[8] = f[0] + 1.0, f[4] + 1.0, f[8] + 1.0
    back = np.empty(9)  # F⁻ᵀ
    for i in range(3):
        for j in range(3):
            a, b, c, d = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
            back[3 * i + j] = f[3 * a + c] * f[3 * b + d] - f[3 * a + d] * f[3 * b + c]
    determinant = f[0] * back[0] + f[1] * back[1] + f[2] * back[2]
    if determinant <= 0.0:
        stress[:] = np.nan
        return
    back /= determinant
    pressure = lame * np.log(determinant)
    for p in range(9):
        stress[p] = shear * (f[p] - back[p]) + pressure * back[p]
        for q in range(9):
            i, j, k, m = p // 3, p % 3, q // 3, q % 3
            tangent[p, q] = lame * back[p] * back[q] + (shear - pressure) * back[3 * i + m] * back[3 * k + j]
        tangent[p, p] += shear


class NeoHooke:
    """The same for many points in NumPy."""

    kinematics = "finite"

    def initial_state(self, n):
        return np.zeros((n, 0))

    def update(self, gradient, state):
        lame, shear = NEO_HOOKE
        f = np.eye(3) + gradient
        back, logarithm = np.linalg.inv(f).transpose(0, 2, 1), np.log(np.linalg.det(f))[:, None, None]
        stress = shear * (f - back) + lame * logarithm * back
        tangent = shear * np.einsum("ik,jl->ijkl", np.eye(3), np.eye(3)) + lame * np.einsum(
            "nij,nkl->nijkl", back, back
        )
        tangent += (shear - lame * logarithm[..., None, None]) * np.einsum("nil,nkj->nijkl", back, back)
        return stress, tangent, state


class TorchNeoHooke(NeoHooke):
    """The same by its energy alone."""

    def update(self, gradient, state):
        h = torch.as_tensor(gradient)
        return vmap(grad(self.energy))(h), vmap(hessian(self.energy))(h), state

    @staticmethod
    def energy(h):
        lame, shear = NEO_HOOKE
        f = torch.eye(3, dtype=h.dtype) + h
        # a triple product: vmap(hessian) of torch.linalg.det has wrong entries (torch 2.13)
        logarithm = torch.log(f[0] @ torch.linalg.cross(f[1], f[2]))
        return shear * (0.5 * (f * f).sum() - logarithm) + 0.5 * lame * logarithm**2


def isotropic(lame, shear):
    """Stiffness ∂P_ij/∂H_kl (9, 9) of small displacements."""
    voigt = isotropic_stiffness(lame, shear)
    places = [0, 5, 4, 5, 1, 3, 4, 3, 2]
    return voigt[np.ix_(places, places)]
