"""Observations of sensors: the live file and its time series, apart from the features of a city."""
