"""Many independent runs of one function, spread over processes or a Dask cluster, kept as files, resumed, retried."""
