"""What the plots of the page show, as numbers: coordinates, labels, sentences. ``plots.html`` draws them.

All plots are 400 units wide; y grows downwards.
"""
