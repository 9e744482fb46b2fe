"""A solver of small systems of equations for kernels: no memory is allocated."""

from femnn.system.compile import njit

_FAST = {"reassoc", "contract", "nsz", "arcp"}


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def solve_in_place(matrix, right):
    """Replace ``right`` by the solution of a small system (elimination, partial pivoting); the matrix is lost."""
    n = len(right)
    for j in range(n):
        pivot = j
        for i in range(j + 1, n):
            if abs(matrix[i, j]) > abs(matrix[pivot, j]):
                pivot = i
        if pivot != j:
            for m in range(j, n):
                matrix[j, m], matrix[pivot, m] = matrix[pivot, m], matrix[j, m]
            right[j], right[pivot] = right[pivot], right[j]
        inverse = 1.0 / matrix[j, j]
        for i in range(j + 1, n):
            factor = matrix[i, j] * inverse
            for m in range(j + 1, n):
                matrix[i, m] -= factor * matrix[j, m]
            right[i] -= factor * right[j]
    for i in range(n - 1, -1, -1):
        for m in range(i + 1, n):
            right[i] -= matrix[i, m] * right[m]
        right[i] /= matrix[i, i]
