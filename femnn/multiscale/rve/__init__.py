"""Representative cells of elastic blocks between cracks, condensed to a cohesive law."""
