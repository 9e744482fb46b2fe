"""FElupe: NumPy contractions in chunks of cells, into a pattern that it keeps."""

import numpy as np

from benchmarks.assembly_peers.peers.program import POISSON, YOUNG, Program


class FElupe(Program):
    title, module, distribution = "FElupe", "felupe", "felupe"
    threaded = True
    way = "Region.reload, then SolidBody.assemble.matrix"

    def __init__(self, arrays, rule):
        import felupe

        self.mesh = felupe.Mesh(np.ascontiguousarray(arrays.p.T), arrays.cells, "hexahedron")
        points = felupe.GaussLegendre(order=round(rule ** (1 / 3)) - 1, dim=3)
        self.region = felupe.RegionHexahedron(self.mesh, quadrature=points)
        field = felupe.FieldContainer([felupe.Field(self.region, dim=3)])
        self.solid = felupe.SolidBody(felupe.LinearElastic(E=YOUNG, nu=POISSON), field)

    def assemble(self, p, threads=1):
        self.mesh.update(points=np.ascontiguousarray(p.T), callback=self.region.reload)
        return self.again(threads)

    def again(self, threads=1):
        return self.solid.assemble.matrix(parallel=threads > 1)
