"""Recognisers that are more than rules: libraries with models, installed by who wants them."""
