"""The bytes of values. Digests them, keeps them under a budget, says how far apart.

It knows neither torch nor pytest; numpy is imported only where two values differ.
"""
