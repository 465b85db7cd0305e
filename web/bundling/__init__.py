"""Assembling what a browser downloads. Standard library only: it runs before anything is installed.

`runtime` fetches and verifies, `archives` trims and repacks, `toolchain` finds Node and pip, `output` writes
`web/dist`. Nothing here knows about audio.
"""
