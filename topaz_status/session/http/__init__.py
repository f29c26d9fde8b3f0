"""The only folder that imports aiohttp: connections, requests, the stream of a download, and direct calls.

Every failure is translated here into an error of the library, without a key or a signed URL.
"""
