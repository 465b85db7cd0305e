"""Assembling what a browser downloads. Standard library only, but for `lockfile`, which a child process runs.

`runtime` fetches and verifies, `archives` repacks, `inside` asks Pyodide itself which modules a screening imports and
lets it compile them, `trim` splits by that, `toolchain` finds Node and pip, `output` writes `web/dist`. What lies in
`pyodide/` runs in Pyodide under Node, what lies in `shipped/` goes to the browser. Nothing else knows about audio.
"""
