"""The data card: statistics, plots and texts of a data set on one page."""
