"""Compiled loops over the rows of matrices in small blocks.

A block row is stored as its scalar rows one after the other, each without gaps: a vector is gathered once for all of
them, and what is left are inner products of long runs. Kernels write only what belongs to the rows ``first`` to
``last``, so that threads can share the rows.
"""

import numpy as np

from femnn.system.compile import njit

# Sums may be taken in the order that suits the processor, which is the same in every run.
_FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
def multiply(first, last, starts, columns, data, unit, rows, width, longest, x, y, add):
    """y = A x, or y += A x; entries of A are those of ``data`` times ``unit``."""
    near = np.empty(longest * width)
    for i in range(first, last):
        begin, end = starts[i], starts[i + 1]
        length = np.uint64(width * (end - begin))
        place = np.uint64(0)
        for k in range(begin, end):
            j = np.uint64(columns[k]) * np.uint64(width)
            for q in range(np.uint64(width)):
                near[place + q] = x[j + q]
            place += np.uint64(width)
        base = np.uint64(begin) * np.uint64(rows * width)
        for a in range(rows):
            total = 0.0
            for k in range(length):
                total += data[base + k] * near[k]
            base += length
            total *= unit
            if add:
                y[rows * i + a] += total
            else:
                y[rows * i + a] = total


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
def relax(first, last, starts, columns, data, unit, rows, longest, inverse, x, right, left, old, new, keep, gain):  # noqa: C901
    """left = right - A x, then new = keep · old + gain · D⁻¹ left, D being the diagonal blocks of A.

    Entries of A are those of ``data`` times ``unit``. ``longest`` 0 leaves out the product, ``gain`` 0 the second part.
    """
    near, missed = np.empty(longest * rows), np.empty(rows)
    for i in range(first, last):
        begin, end = starts[i], starts[i + 1]
        length, base = np.uint64(0), np.uint64(begin) * np.uint64(rows * rows)
        if longest > 0:
            length = np.uint64(rows * (end - begin))
            place = np.uint64(0)
            for k in range(begin, end):
                j = np.uint64(columns[k]) * np.uint64(rows)
                for q in range(np.uint64(rows)):
                    near[place + q] = x[j + q]
                place += np.uint64(rows)
        for a in range(rows):
            total = 0.0
            for k in range(length):
                total += data[base + k] * near[k]
            base += length
            missed[a] = right[rows * i + a] - unit * total
            left[rows * i + a] = missed[a]
        if gain != 0.0:
            for a in range(rows):
                total = 0.0
                for q in range(rows):
                    total += inverse[i, a, q] * missed[q]
                total *= gain
                if keep != 0.0:
                    total += keep * old[rows * i + a]
                new[rows * i + a] = total


@njit(nogil=True, cache=True, error_model="numpy")
def invert_diagonal(first, last, starts, columns, data, rows, is_free, inverse, singular):  # noqa: C901
    """Inverses of the diagonal blocks over what is free, 0 elsewhere; ``singular[i]`` where a block is not definite."""
    factor = np.empty((rows, rows))
    for i in range(first, last):
        begin, end = starts[i], starts[i + 1]
        length = rows * (end - begin)
        inverse[i] = 0.0
        for k in range(begin, end):
            if columns[k] == i:
                base = begin * rows * rows + (k - begin) * rows
                for a in range(rows):
                    for q in range(rows):
                        factor[a, q] = data[base + a * length + q]
        for a in range(rows):
            if not is_free[i, a]:
                factor[a, :] = 0.0
                factor[:, a] = 0.0
                factor[a, a] = 1.0
        # Cholesky, then the inverse column by column
        for a in range(rows):
            for q in range(a + 1):
                total = factor[a, q]
                for p in range(q):
                    total -= factor[a, p] * factor[q, p]
                if a > q:
                    factor[a, q] = total / factor[q, q]
                elif total > 0.0:
                    factor[a, a] = np.sqrt(total)
                else:
                    singular[i] = True
                    factor[a, a] = 1.0
        for column in range(rows):
            if not is_free[i, column]:
                continue
            for a in range(column, rows):
                total = 1.0 if a == column else 0.0
                for p in range(column, a):
                    total -= factor[a, p] * inverse[i, p, column]
                inverse[i, a, column] = total / factor[a, a]
            for a in range(rows - 1, -1, -1):
                total = inverse[i, a, column]
                for p in range(a + 1, rows):
                    total -= factor[p, a] * inverse[i, p, column]
                inverse[i, a, column] = total / factor[a, a]
            for a in range(rows):
                if not is_free[i, a]:
                    inverse[i, a, column] = 0.0


@njit(nogil=True, cache=True)
def nodes_of(indptr, indices, size, starts, columns):
    """Block structure of a matrix in CSR; False unless its rows are in full blocks of ``size``, ascending."""
    for i in range(starts.shape[0] - 1):
        begin, end = indptr[size * i], indptr[size * i + 1]
        count = (end - begin) // size
        if size * count != end - begin:
            return False
        place = starts[i]
        starts[i + 1] = place + count
        for k in range(count):
            node = indices[begin + size * k] // size
            columns[place + k] = node
            for a in range(size):
                row = indptr[size * i + a]
                if indptr[size * i + a + 1] - row != size * count:
                    return False
                for q in range(size):
                    if indices[row + size * k + q] != size * node + q:
                        return False
    return True


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
def block_sizes(first, last, starts, columns, data, rows, is_free, sizes, on_diagonal):
    """Squared Frobenius norm of each block over what is free, and of those on the diagonal."""
    for i in range(first, last):
        begin, end = starts[i], starts[i + 1]
        base, length = begin * rows * rows, rows * (end - begin)
        for k in range(begin, end):
            j, size = columns[k], 0.0
            for a in range(rows):
                for q in range(rows):
                    if is_free[i, a] and is_free[j, q]:
                        size += data[base + a * length + (k - begin) * rows + q] ** 2
            sizes[k] = size
            if j == i:
                on_diagonal[i] = size


@njit(nogil=True, cache=True, error_model="numpy")
def strong_pattern(starts, columns, sizes, on_diagonal, threshold, strong_starts, strong):
    """Neighbours whose block is at least ``threshold`` of the diagonal ones; gives their number."""
    place = 0
    for i in range(starts.shape[0] - 1):
        strong_starts[i] = place
        for k in range(starts[i], starts[i + 1]):
            j = columns[k]
            least = threshold**2 * np.sqrt(on_diagonal[i]) * np.sqrt(on_diagonal[j])
            if j == i or (sizes[k] > 0.0 and sizes[k] >= least):
                strong[place] = j
                place += 1
    strong_starts[-1] = place
    return place


@njit(nogil=True, cache=True, error_model="numpy")
def orthonormal(starts, members, modes, rows, basis, coarse, is_alive):  # noqa: C901
    """Modes restricted to each aggregate and made orthonormal there: ``modes = basis · coarse``.

    What depends on the modes before it becomes 0 and is not alive.
    """
    count = modes.shape[1]
    for g in range(starts.shape[0] - 1):
        for c in range(count):
            size = 0.0
            for k in range(starts[g], starts[g + 1]):
                for a in range(rows):
                    value = modes[rows * members[k] + a, c]
                    basis[members[k], a, c] = value
                    size += value * value
            left = size
            # twice is enough
            for _ in range(2):
                for d in range(c):
                    along = 0.0
                    for k in range(starts[g], starts[g + 1]):
                        for a in range(rows):
                            along += basis[members[k], a, d] * basis[members[k], a, c]
                    coarse[count * g + d, c] += along
                    for k in range(starts[g], starts[g + 1]):
                        for a in range(rows):
                            basis[members[k], a, c] -= along * basis[members[k], a, d]
            left = 0.0
            for k in range(starts[g], starts[g + 1]):
                for a in range(rows):
                    left += basis[members[k], a, c] ** 2
            is_alive[g, c] = left > 1e-16 * size
            norm = np.sqrt(left) if is_alive[g, c] else 0.0
            coarse[count * g + c, c] = norm
            for k in range(starts[g], starts[g + 1]):
                for a in range(rows):
                    basis[members[k], a, c] = basis[members[k], a, c] / norm if is_alive[g, c] else 0.0


@njit(nogil=True, cache=True)
def aggregates_around(first, last, starts, columns, aggregate, found_starts, found, fill):
    """Aggregates that the neighbours of each node belong to: their number in ``found_starts[i + 1]``, then they."""
    seen = np.empty(256, dtype=np.int32)
    for i in range(first, last):
        count = 0
        if aggregate[i] >= 0:
            for k in range(starts[i], starts[i + 1]):
                g = aggregate[columns[k]]
                known = g < 0
                for s in range(count):
                    known = known or seen[s] == g
                if not known:
                    if count == seen.shape[0]:
                        seen = np.concatenate((seen, np.empty_like(seen)))
                    seen[count] = g
                    count += 1
        if fill:
            for s in range(count):
                found[found_starts[i] + s] = seen[s]
        else:
            found_starts[i + 1] = count


@njit(nogil=True, cache=True)
def columns_of_product(first, last, starts, columns, right_starts, right_columns, n_columns, found_starts, found, fill):
    """Columns of each row of a product of two matrices: their number in ``found_starts[i + 1]``, then they."""
    mark = np.full(n_columns, -1, dtype=np.int64)
    for i in range(first, last):
        count = 0
        for k in range(starts[i], starts[i + 1]):
            j = columns[k]
            for t in range(right_starts[j], right_starts[j + 1]):
                g = right_columns[t]
                if mark[g] != i:
                    mark[g] = i
                    if fill:
                        found[found_starts[i] + count] = g
                    count += 1
        if not fill:
            found_starts[i + 1] = count


@njit(nogil=True, cache=True)
def transpose(starts, columns, other_starts, other_rows, places):
    """Rows of each column, ascending, and where their entries are; ``other_starts`` must be 0 from the beginning."""
    for k in range(columns.shape[0]):
        other_starts[columns[k] + 1] += 1
    for g in range(other_starts.shape[0] - 1):
        other_starts[g + 1] += other_starts[g]
    end = other_starts[:-1].copy()
    for i in range(starts.shape[0] - 1):
        for k in range(starts[i], starts[i + 1]):
            place = end[columns[k]]
            other_rows[place] = i
            places[place] = k - starts[i]
            end[columns[k]] += 1


@njit(nogil=True, cache=True)
def transposed(first, last, starts, rows_of, places, of_starts, data, rows, width, out):
    """Entries of the transposed matrix, whose blocks are ``width`` by ``rows``."""
    for g in range(first, last):
        begin, end = starts[g], starts[g + 1]
        length = rows * (end - begin)
        for k in range(begin, end):
            i = rows_of[k]
            base, step = of_starts[i] * rows * width + places[k] * width, width * (of_starts[i + 1] - of_starts[i])
            place = begin * rows * width + (k - begin) * rows
            for a in range(rows):
                for c in range(width):
                    out[place + c * length + a] = data[base + a * step + c]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
def smooth(  # noqa: C901
    first, last, starts, columns, data, rows, width, inverse, damping, aggregate, basis, out_starts, out_columns, out
):
    """P = T - damping · D⁻¹ A T, T being ``basis`` in the column of each node's aggregate."""
    forces = np.empty((rows, 64 * width))
    for i in range(first, last):
        count = out_starts[i + 1] - out_starts[i]
        if count == 0:
            continue
        step = width * count
        if step > forces.shape[1]:
            forces = np.empty((rows, 2 * step))
        forces[:, :step] = 0.0
        begin, end = starts[i], starts[i + 1]
        base, length = begin * rows * rows, rows * (end - begin)
        for k in range(begin, end):
            j = columns[k]
            if aggregate[j] < 0:
                continue
            s = out_starts[i]
            while out_columns[s] != aggregate[j]:
                s += 1
            s = width * (s - out_starts[i])
            for a in range(rows):
                for q in range(rows):
                    entry = data[base + a * length + (k - begin) * rows + q]
                    for c in range(width):
                        forces[a, s + c] += entry * basis[j, q, c]
        base = out_starts[i] * rows * width
        own = out_starts[i]
        while out_columns[own] != aggregate[i]:
            own += 1
        own = width * (own - out_starts[i])
        for a in range(rows):
            for c in range(step):
                out[base + a * step + c] = 0.0
            for q in range(rows):
                entry = damping * inverse[i, a, q]
                for c in range(step):
                    out[base + a * step + c] -= entry * forces[q, c]
            for c in range(width):
                out[base + a * step + own + c] += basis[i, a, c]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
def multiply_matrices(  # noqa: C901
    first, last, own, starts, columns, data, rows, inner, low, high, right_starts, right_columns, right, width, most,
    n_columns, out_starts, out_columns, out,
):  # fmt: skip
    """Add the product of a matrix in blocks of ``rows`` by ``inner`` and one of ``inner`` by ``width`` to ``out``.

    Rows of the right from ``low`` to ``high`` are there, of ``most`` blocks at most; ``own`` is for who shares out the
    rows. The part of one block of the left is summed in a run as long as the row of the right, then added block by
    block.
    """
    slot, part = np.empty(n_columns, dtype=np.int64), np.empty(most * width)
    for i in range(first, last):
        for s in range(out_starts[i], out_starts[i + 1]):
            slot[out_columns[s]] = width * (s - out_starts[i])
        begin, end = starts[i], starts[i + 1]
        base = (out_starts[i] - out_starts[0]) * rows * width
        step = width * (out_starts[i + 1] - out_starts[i])
        place, length = begin * rows * inner, inner * (end - begin)
        for k in range(begin, end):
            j = columns[k]
            if j < low or j >= high:
                continue
            opens, closes = right_starts[j], right_starts[j + 1]
            run, source = np.uint64(width * (closes - opens)), np.uint64((opens - right_starts[low]) * inner * width)
            for a in range(rows):
                entries = np.uint64(place + a * length + (k - begin) * inner)
                row = source
                q = 0
                part[: width * (closes - opens)] = 0.0
                while q + 3 <= inner:
                    x, y, z = data[entries], data[entries + np.uint64(1)], data[entries + np.uint64(2)]
                    after = row + run
                    last_row = after + run
                    for c in range(run):
                        part[c] += x * right[row + c] + y * right[after + c] + z * right[last_row + c]
                    entries += np.uint64(3)
                    row = last_row + run
                    q += 3
                while q < inner:
                    x = data[entries]
                    for c in range(run):
                        part[c] += x * right[row + c]
                    entries += np.uint64(1)
                    row += run
                    q += 1
                at = np.uint64(0)
                for t in range(opens, closes):
                    target = np.uint64(base + a * step + slot[right_columns[t]])
                    for c in range(np.uint64(width)):
                        out[target + c] += part[at + c]
                    at += np.uint64(width)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
def divide(first, last, starts, of_starts, data, rows, inverse, out):
    """D⁻¹ A without the last block of each row, which is D; ``of_starts`` is where the blocks of A start."""
    for i in range(first, last):
        count, base, place = rows * (starts[i + 1] - starts[i]), of_starts[i] * rows * rows, starts[i] * rows * rows
        for a in range(rows):
            for c in range(count):
                total = 0.0
                for q in range(rows):
                    total += inverse[i, a, q] * data[base + q * (count + rows) + c]
                out[place + a * count + c] = total


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
def condense(first, last, starts, of_starts, columns, data, rows, inner_starts, inner_columns, inner, kept, out):
    """K_bb - K_bi (K_ii⁻¹ K_ib), the last given by ``inner``; ``columns`` from ``len(starts) - 1`` on are interior."""
    n = starts.shape[0] - 1
    place_of = np.empty(n, dtype=np.int64)
    for i in range(first, last):
        step, length = rows * (starts[i + 1] - starts[i]), rows * (of_starts[i + 1] - of_starts[i])
        base, target = of_starts[i] * rows * rows, starts[i] * rows * rows
        for k in range(starts[i], starts[i + 1]):
            place_of[kept[k]] = target + rows * (k - starts[i])
        # interior columns are the last ones of a row
        for a in range(rows):
            for c in range(step):
                out[target + a * step + c] = data[base + a * length + c]
        for k in range(of_starts[i] + starts[i + 1] - starts[i], of_starts[i + 1]):
            e = columns[k] - n
            begin, end = inner_starts[e], inner_starts[e + 1]
            source, run = begin * rows * rows, rows * (end - begin)
            for a in range(rows):
                for p in range(rows):
                    entry = data[base + a * length + rows * (k - of_starts[i]) + p]
                    for t in range(end - begin):
                        at = place_of[inner_columns[begin + t]] + a * step
                        for q in range(rows):
                            out[at + q] -= entry * inner[source + p * run + rows * t + q]
