"""Small programs and apps that run without a key and without a network; the README of this folder has them all.

::

    topaz-status simulate --port 8900
    TOPAZ_API_KEY=any TOPAZ_API_URL=http://127.0.0.1:8900 uvicorn topaz_status.examples.submit_and_wait:app
"""
