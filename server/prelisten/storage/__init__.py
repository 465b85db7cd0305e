"""What must survive a restart: rows in a database, bytes in a folder of blobs.

Nothing here decides anything and nothing here knows HTTP, audio or jobs. The engine keeps its own tables in
the same database and joins the same transactions; their migrations live here too, so that one upgrade makes
the whole database. A failure of the disk or the database is a `StorageError`, and then nothing was stored.
"""
