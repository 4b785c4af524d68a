"""Teaches: data sets, losses, training, evaluation.  Nothing here runs live."""
