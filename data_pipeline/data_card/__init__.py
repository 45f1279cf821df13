"""The data card: one HTML page with statistics and plots of a data set."""
