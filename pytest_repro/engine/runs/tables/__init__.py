"""What is reported of tables, beside the difference of each column."""
