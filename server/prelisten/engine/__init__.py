"""Jobs: which submission is to be screened next, by whom, and what happens when that process dies.

The engine is handed its handler and never imports the pipeline; it knows submission ids and nothing about
recordings. It keeps its own tables, and joins the caller's transactions, so that a job exists exactly when its
submission does, and ends exactly when the decision is stored.
"""
