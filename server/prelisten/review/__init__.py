"""A person's task and a person's word. Pure: nothing here imports Flask, numpy or a database."""
