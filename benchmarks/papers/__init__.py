"""The paper author's own packages, `dvwap` and `dynamic_vwap`, on the windows that `execd evaluate` judges by."""
