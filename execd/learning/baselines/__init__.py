"""The methods that a model has to beat, each as strong as its idea allows.

Promise: a method is fitted on the windows and bars that it is handed as past, and decides before slice k of a window
from the bars before that slice alone; the last share of every schedule is 1 and no share falls.
"""
