"""Parts of the adapters of gradient boosting libraries."""
