"""Decides.  Pure: no I/O, no clock, no random numbers, no asyncio, no torch, no logging.

desk -> execution -> router -> risk -> schedule | vwap -> events | commands -> orders -> grid
"""
