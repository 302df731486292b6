"""The pages of docs/ that are made from rows, goldens and the image."""
