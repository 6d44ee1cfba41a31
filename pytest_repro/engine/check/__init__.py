"""``check()`` and ``assert_reproducible()``: the verdict of a test for a plain function."""
