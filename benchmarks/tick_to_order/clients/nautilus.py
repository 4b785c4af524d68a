"""nautilus_trader's own node, Binance adapter and order path, its two base URLs led to loopback.

A strategy subscribes to trades and submits a limit order where one is a trigger.  Runs in the environment of the peers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.binance import (
    BINANCE,
    BinanceAccountType,
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.config import InstrumentProviderConfig, LiveExecEngineConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId, TraderId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from benchmarks.tick_to_order.clients.job import API_KEY, CHILD, LIMIT, SECRET, TRIGGER, job

INSTRUMENT = InstrumentId.from_str("BTCUSDT.BINANCE")


class Answer(Strategy):
    """Orders at each trigger, as bare.py does."""

    def on_start(self) -> None:
        """Subscribe."""
        self.volume = self.notional = 0.0
        self.subscribe_trade_ticks(INSTRUMENT)

    def on_trade_tick(self, tick: Any) -> None:
        """Sum, and order."""
        size = float(tick.size)
        self.volume += size
        self.notional += size * float(tick.price)
        if size >= TRIGGER:
            order = self.order_factory.limit(
                instrument_id=INSTRUMENT,
                order_side=OrderSide.BUY,
                quantity=Quantity(Decimal(CHILD), 5),
                price=Price(Decimal(LIMIT), 2),
                time_in_force=TimeInForce.IOC,
            )
            self.submit_order(order)


def main() -> None:
    """Run until the exchange closes."""
    given = job()
    common = {
        "api_key": API_KEY,
        "api_secret": SECRET,
        "account_type": BinanceAccountType.SPOT,
        "base_url_http": f"http://127.0.0.1:{given.port}",
        "base_url_ws": f"ws://127.0.0.1:{given.port}",
        "instrument_provider": InstrumentProviderConfig(load_ids=frozenset({INSTRUMENT})),
    }
    config = TradingNodeConfig(
        trader_id=TraderId("BENCH-001"),
        logging=LoggingConfig(log_level="ERROR"),
        exec_engine=LiveExecEngineConfig(reconciliation=False),
        data_clients={BINANCE: BinanceDataClientConfig(**common)},
        exec_clients={BINANCE: BinanceExecClientConfig(**common)},
        timeout_connection=20.0,
    )
    node = TradingNode(config=config)
    node.trader.add_strategy(Answer())
    node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    node.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
    node.build()
    node.run()


if __name__ == "__main__":
    main()
