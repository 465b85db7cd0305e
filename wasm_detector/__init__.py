"""Signs of synthetic speech in a waveform, with numpy and the standard library alone.

The same code runs in the browser (Pyodide) and on the server. Nothing here opens a file of the user's, looks
at a clock, reaches the network or knows Flask or JavaScript; only `browser` touches what JavaScript hands it.
Each module imports only from those below it:

browser -> screening -> streaming -> scoring -> extensions -> signals -> features -> frames -> waveform
        -> (model | hint | reasons | wav | peaks) -> container -> errors
"""

VERSION = "0.1.0"
"""Version of the detector's code; with the model's digest it makes the detector's id."""
