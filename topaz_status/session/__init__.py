"""The asyncio shell around the pure core: it sends, waits and hands out; it decides nothing by itself."""
