"""Mesh files: what Abaqus, Nastran, Gmsh, VTK and others write becomes a scikit-fem mesh with its names, or one error.

>>> import skfem, tempfile, pathlib
>>> from femnn.mesh_files import read_mesh
>>> file = pathlib.Path(tempfile.mkdtemp()) / "part.vtk"
>>> skfem.MeshHex().refined(1).save(file)
>>> read_mesh(file)
<skfem MeshHex1 object>
  Number of elements: 8
  Number of vertices: 27
  Number of nodes: 27

Formats, keywords that are read and refused, and names of sets: ``docs/how-to/my-mesh.md``.
"""

from femnn.mesh_files.read import read_mesh, read_with_remarks

__all__ = ["read_mesh", "read_with_remarks"]
