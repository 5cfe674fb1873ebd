"""What an air-gapped site needs, in one folder: packages, models, data, licences and checksums.

Here live the locks of the two targets, the choice of wheels for a site's Python and platform, the
making of a bundle, its pieces for media, and the program that checks one (`verify.py`, which needs
Python only and travels in the bundle). Not here: how models are kept on disk (models/) or the
image (Dockerfile.cuda).

May import: models, files, errors.
"""
