"""Assembly of matrices and vectors: bases for scikit-fem, and fused kernels."""
