"""How are synthetic journeys drawn and put into a layout, in bounded memory and the same on every machine?

``model`` has the distributions as tables of whole numbers, ``blocks`` draws cases with them, ``buckets`` holds the
events that wait for their place, on disk where they are many, and ``layouts`` brings all into the order asked for.
"""
