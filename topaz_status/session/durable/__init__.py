"""Durable watches: the writer of stored rows, pollers whose ending waits for the disk, and receipts."""
