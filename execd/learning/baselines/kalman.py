"""Intraday volume as a state space: Chen, Feng and Palomar (2016), "Forecasting Intraday Trading Volume".

    log v_t = phi(slot of t) + eta_t + mu_t + noise,     noise ~ N(0, r)

eta, the day's level, moves when a new day (UTC) begins: eta' = a eta + N(0, q); mu moves with every bar: mu' = b mu +
N(0, p).  Parameters by expectation maximization in closed form on at most the last year; bars that are unknown or
without a trade are skipped by the filter.

Promise: a forecast at bar t reads the bars before t, and parameters of the bars before `until`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from execd.learning.baselines.market import Cells, Market
from execd.learning.baselines.volume import Season
from execd.policies.floats import Flags, Floats
from execd.policies.profile import DAY

_YEAR_H = 24 * 365
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Parameters:
    """The model's parameters: autoregressions a (daily), b (per bar), their noises q, p, and the observation's, r."""

    a: float
    q: float
    b: float
    p: float
    r: float


_START = Parameters(a=0.95, q=0.05, b=0.8, p=0.1, r=0.05)


def kalman_coming(market: Market, seen: Season, until: int, span: slice) -> Floats:
    """Return [N, n] the forecast volume of the n bars from each bar of `span` on; 1 elsewhere.

    The season is measured as the others' (`seen`), a mean over the same past that the paper's phi maximizes over.
    """
    t = np.arange(len(market.log_volume))
    first = max(0, until - market.count(_YEAR_H))
    y = market.log_volume - seen.log[market.bins(t)]
    fresh = (market.bars.start + t * market.bars.interval) % DAY == 0
    level = float(np.mean(y[first:until]))
    by = estimate((y - level)[first:until], market.known[first:until], fresh[first:until])
    begin = max(0, span.start - market.count(_YEAR_H // 12))
    recent = slice(begin, span.stop)
    states = _forward((y - level)[recent], market.known[recent], fresh[recent], by)[:, :5].T
    rows = t[span.start : span.stop]
    ahead = _ahead(market, rows, tuple(column[span.start - begin :] for column in states), by)
    coming = np.ones((len(t), market.slices))
    for h in range(market.slices):
        coming[rows, h] = np.exp(level + ahead[h] + seen.log[market.bins(rows + h)])
    return coming


def _ahead(market: Market, rows: Cells, states: tuple[Floats, ...], by: Parameters) -> list[Floats]:
    """[n] of [rows]: the logarithm of the mean of what eta, mu and noise multiply each coming bar's volume with.

    The mean, not the median, of a log-normal volume: it is added to volumes that have happened.
    """
    eta, mu, vee, vem, vmm = states
    out = []
    for h in range(market.slices):
        if h:
            new = (market.bars.start + (rows + h) * market.bars.interval) % DAY == 0
            a, q = np.where(new, by.a, 1.0), np.where(new, by.q, 0.0)
            eta, mu = a * eta, by.b * mu
            vee, vem, vmm = a * a * vee + q, a * by.b * vem, by.b**2 * vmm + by.p
        out.append(eta + mu + (vee + 2.0 * vem + vmm + by.r) / 2.0)
    return out


def estimate(y: Floats, known: Flags, fresh: Flags, rounds: int = _ROUNDS) -> Parameters:
    """Return the parameters after so many rounds of expectation maximization."""
    by = _START
    for _ in range(rounds):
        by = _maximized(y, known, fresh, _backward(_forward(y, known, fresh, by), fresh, by), by)
    return by


def _forward(y: Floats, known: Flags, fresh: Flags, by: Parameters) -> Floats:
    """[T, 10]: predicted (eta, mu, var eta, cov, var mu), then the same after the bar was seen.

    In plain numbers: two states are too few for a matrix library to pay.
    """
    e, m, vee, vem, vmm = 0.0, 0.0, 1.0, 0.0, by.p / max(1.0 - by.b**2, 1e-3)
    out: list[tuple[float, ...]] = []
    b, p, r = by.b, by.p, by.r
    for i, (value, seen, new) in enumerate(zip(y.tolist(), known.tolist(), fresh.tolist(), strict=True)):
        if i:
            a, q = (by.a, by.q) if new else (1.0, 0.0)
            e, m, vee, vem, vmm = a * e, b * m, a * a * vee + q, a * b * vem, b * b * vmm + p
        prior = (e, m, vee, vem, vmm)
        if seen:
            ge, gm = vee + vem, vem + vmm
            s, error = ge + gm + r, value - e - m
            e, m = e + ge / s * error, m + gm / s * error
            vee, vem, vmm = vee - ge * ge / s, vem - ge * gm / s, vmm - gm * gm / s
        out.append((*prior, e, m, vee, vem, vmm))
    return np.array(out)


def _backward(path: Floats, fresh: Flags, by: Parameters) -> Floats:
    """[T, 7]: smoothed eta, mu, var eta, cov, var mu, and covariances of eta and of mu with themselves a bar before.

    Rauch, Tung and Striebel's recursion.
    """
    out = np.zeros((len(path), 7))
    out[-1, :5] = path[-1, 5:]
    rows, news, b = path.tolist(), fresh.tolist(), by.b
    e, m, vee, vem, vmm = rows[-1][5:]
    for i in range(len(rows) - 2, -1, -1):
        pe, pm, pee, pem, pmm = rows[i + 1][:5]
        fe, fm, fee, fem, fmm = rows[i][5:]
        a = by.a if news[i + 1] else 1.0
        det = max(pee * pmm - pem * pem, 1e-300)
        # J = P F' (F P F' + Q)^-1, row by row
        jee, jem = (a * fee * pmm - b * fem * pem) / det, (b * fem * pee - a * fee * pem) / det
        jme, jmm = (a * fem * pmm - b * fmm * pem) / det, (b * fmm * pee - a * fem * pem) / det
        # lag-one covariance: Cov(x[i+1], x[i]) = V[i+1] J'
        lag_e, lag_m = vee * jee + vem * jem, vem * jme + vmm * jmm
        de, dm, dee, dem, dmm = e - pe, m - pm, vee - pee, vem - pem, vmm - pmm
        e, m = fe + jee * de + jem * dm, fm + jme * de + jmm * dm
        vee = fee + jee * (jee * dee + jem * dem) + jem * (jee * dem + jem * dmm)
        vem = fem + jee * (jme * dee + jmm * dem) + jem * (jme * dem + jmm * dmm)
        vmm = fmm + jme * (jme * dee + jmm * dem) + jmm * (jme * dem + jmm * dmm)
        out[i, :5] = e, m, vee, vem, vmm
        out[i + 1, 5:] = lag_e, lag_m
    return out


def _maximized(y: Floats, known: Flags, fresh: Flags, smooth: Floats, by: Parameters) -> Parameters:
    """The parameters that the smoothed moments make most likely."""
    e, m, vee, vem, vmm = smooth[:, :5].T
    ee, mm = e * e + vee, m * m + vmm
    ee_lag, mm_lag = e[1:] * e[:-1] + smooth[1:, 5], m[1:] * m[:-1] + smooth[1:, 6]
    day = fresh[1:]
    error = ((y - e - m) ** 2 + vee + 2 * vem + vmm)[known]
    r = float(error.mean()) if len(error) else by.r
    b, p = _regression(mm_lag, mm[:-1], mm[1:])
    a, q = _regression(ee_lag[day], ee[:-1][day], ee[1:][day]) if day.sum() >= 5 else (by.a, by.q)
    return Parameters(a, q, b, p, max(r, 1e-6))


def _regression(lag: Floats, before: Floats, after: Floats) -> tuple[float, float]:
    """An autoregression's coefficient, kept stationary, and its noise."""
    c = float(np.clip(lag.sum() / max(before.sum(), 1e-12), 0.0, 0.999))
    noise = float((after - 2 * c * lag + c * c * before).mean())
    return c, max(noise, 1e-6)
