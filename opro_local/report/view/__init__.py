"""All runs of a folder as pages, served to this machine's browser while runs go on.

The rooms: listing.py (which runs there are and what is known of each), child.py and process.py (the
process that reads stores and makes pages, and what bounds it), pages.py (pages that are made
already), list_page.py (the first page), access.py (who may ask), server.py (HTTP). Nothing here
writes a file, runs code that a config names, or takes a path from a URL. Not for: what a run's page
says (report/).
"""
