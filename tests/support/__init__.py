"""Problems, properties and functions that several tests share."""
