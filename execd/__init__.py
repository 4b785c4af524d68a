"""execd works one parent order on a crypto exchange so that its average price stays close to the market's VWAP.

core/       decides: schedule, gate, router, doubt; pure
policies/   proposes: volume curves, the learned model; untrusted
learning/   teaches: data sets, losses, training, evaluation; never live
venues/     talks: one exchange each, the fuse before the wire
exchange/   the practice exchange, behind a real exchange's own protocol
runtime/    runs: one inbox, one writer, the journal before the wire
"""

__version__ = "0.1.0"
