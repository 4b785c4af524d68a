"""The practice exchange's BTC/USDT, a quote and a risk file, for tests of what comes before an order."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from execd.core.grid import Instrument, Lots, Nanos, Notional
from execd.runtime.settings import RiskFile, load

ROOT = Path(__file__).resolve().parents[2]
NOW = Nanos(1_795_000_000_000_000_000)
BID, ASK = 64_999_00, 65_001_00
RISK_FILE = load(ROOT / "config" / "risk.yaml", RiskFile)


def market(symbol: str = "BTC/USDT") -> Instrument:
    """Tick 0.01, lot 0.00001, least order 5 USDT."""
    base, quote = symbol.split("/")
    return Instrument(
        venue="practice",
        symbol=symbol,
        base=base,
        quote=quote,
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
        min_quantity=Lots(1),
        max_quantity=Lots(9_000 * 100_000),
        min_notional=Notional(5 * 10_000_000),
        max_notional=Notional(9_000_000 * 10_000_000),
    )
