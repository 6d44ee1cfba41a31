"""Parts of the adapter of scikit-learn."""
