"""From data to the law: parameters, physics-informed networks, films, beside everything simpler."""
