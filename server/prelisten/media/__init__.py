"""From a hostile file to samples. Only `child` and what it imports touch a recording's bytes.

The child is a process of its own: no path, no secret, no network, bounded memory, time and files. What it says
is checked like anything else that comes from outside. WAV is read by the same code as in the browser, FLAC by
libsndfile, the rest by PyAV with an allow-list of formats and decoders.
"""
