"""The HTML report: one page with all tests, plots and causes."""
