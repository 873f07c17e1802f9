"""The digits: sources, IDX files, the split, binarisation."""
