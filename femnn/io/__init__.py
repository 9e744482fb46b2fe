"""Files: written whole or not at all, read with checks; weights, tables, series for ParaView."""
