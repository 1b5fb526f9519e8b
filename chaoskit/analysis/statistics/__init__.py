"""Numbers and how sure they are: quantiles, intervals, bootstrap, comparisons."""
