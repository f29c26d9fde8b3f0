"""The asyncio shell around the pure core: it sends, waits and delivers; it decides nothing by itself."""
