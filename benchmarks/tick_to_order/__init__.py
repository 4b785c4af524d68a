"""From the bytes of a trade leaving the exchange to the bytes of the order that it causes arriving there."""
