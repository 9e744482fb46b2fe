"""fe2"""
from femnn.multiscale.fe2.cell import CellResponse, PeriodicCell
from femnn.multiscale.fe2.periodicity import PeriodicBox, cell_with_inclusions
