"""Reports: tables, plots and pages of scores with their intervals."""
