"""For researchers: train, calibrate, evaluate and scan. Trusted files and a person waiting; no server in sight.

Nothing here is imported by the server. scikit-learn (extra `train`) is imported by `fit` and `folds` alone, so that
`scan` and `evaluate` work without it.
"""
