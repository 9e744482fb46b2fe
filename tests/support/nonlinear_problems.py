"""Nonlinear problems whose equilibria are known."""

import numpy as np
import skfem
from scipy.sparse import csr_matrix
from skfem.helpers import ddot, det, grad, identity, inv, transpose

import femnn


class Spring(femnn.NonlinearProblem):
    """One degree of freedom, with a force and a stiffness that are functions of u."""

    def __init__(self, force, stiffness):
        self.law, self.evaluations, self.commits = (force, stiffness), [], 0

    def residual_and_tangent(self, u):
        self.evaluations.append(u.copy())
        return self.law[0](u), csr_matrix(np.diag(np.atleast_1d(self.law[1](u))))

    def commit(self):
        self.commits += 1


class Chain(femnn.NonlinearProblem):
    """A linear spring and one that softens, k w exp(-w / c), in series: ends at u[0] = 0 and u[2]."""

    def __init__(self, linear=2.0, k=1.0, c=1.0):
        self.linear, self.k, self.c = linear, k, c

    def softening(self, w):
        return self.k * w * np.exp(-w / self.c)

    def residual_and_tangent(self, u):
        first, w = u[1] - u[0], u[2] - u[1]
        forces = self.linear * first, self.softening(w)
        slopes = self.linear, self.k * (1.0 - w / self.c) * np.exp(-w / self.c)
        ends = np.array([[-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]])
        return ends.T @ forces, csr_matrix(ends.T @ np.diag(slopes) @ ends)


class VonMisesTruss(femnn.NonlinearProblem):
    """Two bars that meet at a low apex, as springs with Green's strain: the apex moves by (u, w), w downwards."""

    b, h, ea = 1.0, 0.3, 1.0

    def residual_and_tangent(self, u):
        force, tangent = np.zeros(2), np.zeros((2, 2))
        length = np.hypot(self.b, self.h)
        for side in (-1.0, 1.0):
            r = np.array([side * self.b + u[0], self.h - u[1]])
            strain = 0.5 * (r @ r - length**2) / length**2
            along = np.array([r[0], -r[1]]) / length**2
            force += self.ea * length * strain * along
            tangent += self.ea * length * (np.outer(along, along) + strain * np.eye(2) / length**2)
        return force, csr_matrix(tangent)

    @classmethod
    def load(cls, w):
        """Vertical force in closed form."""
        length = np.hypot(cls.b, cls.h)
        return cls.ea / length**3 * (cls.h - w) * (2.0 * cls.h * w - w**2)

    @classmethod
    def limit(cls):
        """Displacement and force of the limit point."""
        w = cls.h * (1.0 - 1.0 / np.sqrt(3.0))
        return w, cls.load(w)


class PlasticSpring(femnn.NonlinearProblem):
    """Elastic up to a yield force, then with linear isotropic hardening; remembers its plastic part."""

    stiffness, hardening, strength = 10.0, 1.0, 1.0

    def __init__(self):
        self.state = self.trial = (0.0, 0.0)
        self.history = []

    def residual_and_tangent(self, u):
        plastic, hardened = self.state
        force, slope = self.stiffness * (u[0] - plastic), self.stiffness
        excess = abs(force) - self.strength - self.hardening * hardened
        if excess > 0.0:
            flow = excess / (self.stiffness + self.hardening)
            plastic, hardened = plastic + np.sign(force) * flow, hardened + flow
            force -= self.stiffness * np.sign(force) * flow
            slope = self.stiffness * self.hardening / (self.stiffness + self.hardening)
        self.trial = plastic, hardened
        return np.array([force]), csr_matrix([[slope]])

    def commit(self):
        self.state = self.trial
        self.history.append(self.state)

    def rollback(self):
        self.trial = self.state


class NeoHookean(femnn.NonlinearProblem):
    """A compressible block, assembled with scikit-fem."""

    def __init__(self, mesh, shear=1.0, lame=2.0):
        self.basis = femnn.bases(mesh, skfem.ElementVector(skfem.ElementHex1()), femnn.GaussLegendre(2))[0]
        self.shear, self.lame = shear, lame
        self.internal = skfem.LinearForm(self._internal)
        self.tangent = skfem.BilinearForm(self._tangent)

    def _internal(self, v, w):
        f = grad(w["u"]) + identity(w["u"])
        j, back = det(f), transpose(inv(f))
        return ddot(self.shear * (f - back) + self.lame * np.log(j) * back, grad(v))

    def _tangent(self, u, v, w):
        f = grad(w["u"]) + identity(w["u"])
        j, back = det(f), transpose(inv(f))
        d = grad(u)
        turned = np.einsum("ij...,kj...,kl...->il...", back, d, back)
        change = self.shear * (d + turned) + self.lame * (ddot(back, d) * back - np.log(j) * turned)
        return ddot(change, grad(v))

    def residual_and_tangent(self, u):
        field = self.basis.interpolate(u)
        if (det(grad(field) + identity(field)) <= 0.0).any():
            raise femnn.FoldedElementError("an element turned inside out", [])
        return self.internal.assemble(self.basis, u=field), self.tangent.assemble(self.basis, u=field)


class DamageChain(femnn.NonlinearProblem):
    """A linear spring and one that is damaged, in series: force k w exp(-W / c), W the largest w so far."""

    k, c = 1.0, 1.0

    def __init__(self, linear):
        self.linear, self.largest, self.trial = linear, 0.0, 0.0

    def residual_and_tangent(self, u):
        w = u[2] - u[1]
        self.trial = max(self.largest, w)
        secant = self.k * np.exp(-self.trial / self.c)
        slope = secant * (1.0 - w / self.c) if w > self.largest else secant
        ends = np.array([[-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]])
        forces = self.linear * (u[1] - u[0]), secant * w
        return ends.T @ forces, csr_matrix(ends.T @ np.diag([self.linear, slope]) @ ends)

    def commit(self):
        self.largest = self.trial

    def rollback(self):
        self.trial = self.largest


def quiet(problem, load, **options):
    return femnn.newton(problem, load, progress=False, **options)


def order(residuals):
    """Observed order of convergence from the last three residuals above rounding."""
    e = np.log([value for value in residuals if value > 1e-13])[-3:]
    return (e[2] - e[1]) / (e[1] - e[0])
