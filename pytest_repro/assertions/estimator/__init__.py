"""Whether an estimator of scikit-learn is reproducible."""
