"""What the synthetic market is calibrated to: constants measured on real exchange data.

Sources, named at each constant: prints and best quotes of Binance spot BTCUSDT and ETHUSDT of 2024-08-08 (650 s each, a
volatile evening), spot BTCUSDT of 2023-04-04 (414 s, a calm one), perpetual BTCUSDT of 2026-02-16 (300 s, with 200
book levels); one-minute bars of spot BTCUSDT 2023-2025 (562,020) and perpetual BTCUSDT 2023-2025 (132,902); five-minute
bars of spot BTCUSDT 2023-04 to 2025-08; half-hour perpetual bars of seven other coins, 2024-09 to 2025-08.
"""

from __future__ import annotations

from dataclasses import dataclass

# Mean volume by hour of day UTC over its mean, working days (spot 5m): two humps, the larger at the New York open.
HOUR_VOLUME = (0.90, 0.91, 0.85, 0.73, 0.66, 0.67, 0.74, 0.88, 0.88, 0.83, 0.81, 0.84,
               1.12, 1.39, 1.83, 1.74, 1.45, 1.28, 1.15, 1.14, 1.04, 0.81, 0.70, 0.65)  # fmt: skip
# Mean high-low range by hour of day UTC over its mean (same bars).
HOUR_RANGE = (1.01, 1.02, 0.91, 0.77, 0.69, 0.69, 0.73, 0.78, 0.82, 0.79, 0.77, 0.79,
              1.04, 1.32, 1.64, 1.50, 1.33, 1.26, 1.18, 1.17, 1.10, 1.01, 0.88, 0.76)  # fmt: skip

# Log volume of a minute: standard deviation 1.07, autocorrelation 0.72 at 1, 0.53 at 10 and 0.39 at 60 minutes
# (perpetual 1m).  A quick and a slow part: (standard deviation, memory in seconds).
ACTIVITY_QUICK = (0.50, 180.0)
ACTIVITY_SLOW = (0.60, 5400.0)
# Volatility follows activity's square root (log |r| against log volume: 0.47 to 0.53, 1m) and has a part of its own;
# |r| of a minute correlates 0.32 at 1 and 0.17 at 60 minutes.
VOLATILITY_OWN = (0.35, 1200.0)

# Arrivals of takers excite further ones: counts per 0.1, 1 and 10 s have variance over mean 4, 7 to 12 and 17 to 29,
# and correlate 0.25 to 0.38 from a second to the next.  Two kernels: (branching ratio, decay per second).
EXCITE_FAST = (0.58, 25.0)
EXCITE_SLOW = (0.17, 0.7)

# Sizes of taker orders: log-normal; log standard deviation 1.8 (calm spot) to 2.5 (volatile), 1.88 on the perpetual.
# The largest 2 % fall off like a power 1.3 to 1.6.  None seen was above 130 times the mean.
TAKER_LOG_SD = 1.88
TAKER_MOST = 130.0

# Signs of successive taker orders correlate 0.2 to 0.4 at lag 1, 0.09 to 0.16 at 10, 0.02 to 0.05 at 50: the expected
# sign is a sum of running means of past signs, (weight, share of the newest).
SIGN_MEMORY = ((0.22, 0.5), (0.30, 0.12), (0.28, 0.015))

# Returns: 4.6 bps a minute (perpetual 1m, 2023-2025).  Of it this much a square-root second comes as news (the rest is
# impact): a signed volume of one BTC moves 0.07 to 0.5 bps, and explains a fifth to a third of a second's variance.
NEWS_BPS = 0.47
# What a taker order of mean size moves, if it was not expected; larger ones move more, less than in proportion.
IMPACT_BPS = 0.08
IMPACT_POWER = 0.7

# Best quotes change 112 (spot) to 192 (perpetual) times a second; the spread is one tick 99 % of the time, and the
# touch holds a median of 2 BTC (quartiles 0.5 and 3.5) against a mean taker order of 0.06 to 0.18.  It moves 0.5 (calm)
# to 5.6 (volatile) times a second, by 38 to 134 ticks of 0.16e-5 of the price in the median.
TOUCH_IN_TAKERS = 20.0
MOVE_BPS = 0.22
# Prints per taker order: 1.4 to 5.1, so what waits at the touch are many small orders and few large ones.
CHUNK_IN_TAKERS = 0.45
CHUNK_LOG_SD = 2.0
# Behind the touch: 17 levels within 0.5 bps, 30 within 1, 140 within 5, of a median of 0.01 BTC and a mean near 0.08.
LEVELS = 160
NEAR_SHARE, NEAR_BPS = 0.35, 0.4
DEEP_BPS = 5.5
DEEP_IN_TAKERS = 0.45
# Further out lies the bulk: 34 BTC within 5 bps and 66 within 10 (median, spot 2023-04-04), in fewer, larger orders.
FAR_SHARE, FAR_BPS = 0.12, 15.0
FAR_IN_TAKERS = 15.0
FAR_LOG_SD = 1.0


@dataclass(frozen=True, slots=True)
class Profile:
    """One symbol: its first price, quote volume a day, taker orders and quote changes a second, minute volatility.

    Volumes and volatilities of the others are BTC's times their ratio on the perpetuals' half hours; TRX and APE,
    which are not among those, are estimates.
    """

    price: str
    daily_volume: float
    takers: float
    quotes: float
    minute_bps: float


# BTC: 7.75 taker orders a second of 0.18 BTC in the mean (perpetual of 2026-02-16): 1.4 BTC a second.
PROFILES: dict[str, Profile] = {
    "BTC/USDT": Profile("65000.00", 7.8e9, 7.75, 90.0, 4.6),
    "ETH/USDT": Profile("3200.00", 5.0e9, 7.0, 70.0, 7.0),
    "BNB/USDT": Profile("600.00", 2.1e8, 2.0, 25.0, 5.3),
    "SOL/USDT": Profile("160.00", 1.5e9, 4.0, 40.0, 8.5),
    "XRP/USDT": Profile("2.2000", 8.4e8, 3.0, 30.0, 9.9),
    "ADA/USDT": Profile("0.7000", 2.3e8, 1.5, 20.0, 10.7),
    "DOGE/USDT": Profile("0.18000", 5.9e8, 2.5, 25.0, 10.3),
    "TRX/USDT": Profile("0.2400", 1.6e8, 1.0, 15.0, 5.0),
    "PEPE/USDT": Profile("0.00000950", 1.0e8, 1.0, 15.0, 12.9),
    "APE/USDT": Profile("1.1000", 4.0e7, 0.6, 10.0, 12.0),
}
BTC_MINUTE_BPS = 4.6
