"""Catalogues that come with Wayline, to try it with and to start from. See `wayline.catalog.examples`."""
